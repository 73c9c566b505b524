"""The record of a night: what was planned and what became of it, so that missing differs from never scheduled.

A line is written when the night begins and replaced when it ends: one that stays `began` was killed. How it ended:

done            everything planned was measured, or there was nothing new
regression      a row became slower or worse
build-failed    a commit could not be built or measured
check-failed    an implementation fails `lossimpl check`
interrupted     Ctrl-C, or the time limit of its job
unreachable     results could not be brought or sent; they wait for the next push
undecided       the results branch was rewritten or is of a newer version, and a person must decide
failed          anything else, such as a full disk
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from reports.record.lines import objects

FILE = "nightly.jsonl"
GRAVITY = ("failed", "interrupted", "undecided", "unreachable", "build-failed", "check-failed", "regression", "done")
ENDED_BEFORE = "it was not measured before the session ended"
STATUSES = {
    **dict.fromkeys(("ok", "wrong", "impossible", "invalid", "wrong-data"), "measured"),
    **dict.fromkeys(("error", "crashed", "timeout"), "failed"),
    **dict.fromkeys(("unavailable", "skipped"), "unavailable"),
    "disturbed": "disturbed",
}


def now() -> str:
    """The time in UTC, as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Health:
    """The record of one night while it runs; `unscheduled` counts rows by the reason why they were never begun."""

    night: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")
    began_at: str = field(default_factory=now)
    outcome: str = "began"
    problems: list[str] = field(default_factory=list)
    head: str = ""
    commits: list[str] = field(default_factory=list)
    expected: int = 0
    measured: int = 0
    disturbed: int = 0
    failed: int = 0
    unavailable: int = 0
    unscheduled: dict[str, int] = field(default_factory=dict)
    findings: int = 0
    events: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    ended_at: str | None = None

    def ended(self, outcome: str, problem: str = "") -> None:
        """Note how the night ended, or what else went wrong; the gravest of several outcomes stays."""
        known = [self.outcome] if self.outcome in GRAVITY else []
        self.outcome = min([*known, outcome], key=GRAVITY.index)
        self.problems += [problem] if problem and problem not in self.problems else []

    def count(self, rows: pd.DataFrame, unmeasured: Mapping[str, str], per_commit: int) -> None:
        """Count the rows of the night's commits; `unmeasured` has the reason of each commit that lacks some or all."""
        newest = rows.sort_values("session").drop_duplicates(["commit", "env", "row"], keep="last")
        late = (newest["status"] == "error") & (newest["reason"] == ENDED_BEFORE)
        found = Counter(newest["status"][~late].map(STATUSES))
        self.measured, self.disturbed, self.failed, self.unavailable = (
            found[one] for one in ("measured", "disturbed", "failed", "unavailable")
        )
        reasons = Counter({"the session ended before": int(late.sum())})
        known = Counter(newest["commit"])
        for commit, reason in unmeasured.items():
            reasons[reason] += max(0, per_commit - known[commit])
        self.unscheduled = {reason: count for reason, count in reasons.items() if count}

    def write(self, folder: Path) -> None:
        """Put the record into the machine's file, in place of what this night wrote before."""
        path = folder / FILE
        others = [one for one in objects(path) if one.get("night") != self.night]
        mine = {name: value for name, value in asdict(self).items() if value is not None}
        _replace(path, [*others, mine])


def _replace(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    fresh.replace(path)


def interrupted(folder: Path) -> set[str]:
    """The commits that a night did not finish and no later one measured; what is stored of them is no whole session."""
    found: set[str] = set()
    for night in sorted(objects(folder / FILE), key=lambda one: str(one.get("began_at"))):
        found = (found - {*night.get("commits", ())}) | {*night.get("unfinished", ())}
    return found


def rewritten(folder: Path, known: Iterable[str], order: Sequence[str]) -> list[str]:
    """The event that main was rewritten: measured commits that are not in its history any more; each is named once."""
    gone = sorted({*known} - {*order})
    known_before = " ".join(event for night in objects(folder / FILE) for event in night.get("events", ()))
    return (
        [f"main was rewritten, without {', '.join(new)}"]
        if (new := [one for one in gone if one not in known_before])
        else []
    )
