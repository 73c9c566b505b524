"""What earlier nights reported: `results/<machine>/changes.jsonl`, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.asv_results import remembered
from reports.changes import Event, Finding


def finding_line(one: Finding) -> dict[str, Any]:
    """A finding as it is remembered."""
    return {
        "row": one.series.row,
        "environment": one.series.environment,
        "commit": one.commit,
        "before": one.before,
        "ratio": round(one.ratio, 4),
        "confidence": round(one.confidence, 6),
        "again": one.again,
        "stands": one.stands,
    }


def finding_lines(machine: str, seen: Sequence[Finding], settled: Sequence[Finding]) -> list[dict[str, Any]]:
    """A machine's findings to remember: where they were settled, and where the history showed them if that differs."""
    lines = []
    for before, after in zip(seen, settled, strict=True):
        if before.series.machine == machine:
            lines += [finding_line(after)]
            moved = {"again": f"see {after.commit}", "moved_to": after.commit}
            lines += [{**finding_line(before), **moved}] * (before.commit != after.commit)
    return lines


def recalled(found: Iterable[Finding], lines: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """The findings of the histories as nights settled them, by their lines with the `machine` of each.

    One that was put at another commit is there now; the ratio stays that of the history, `again` has that of the pairs.
    """
    known = {(line["machine"], line.get("row"), line.get("environment"), line.get("commit")): line for line in lines}
    settled = []
    for one in found:
        row = (one.series.machine, one.series.row, one.series.environment)
        line = known.get((*row, one.commit), {})
        line = known.get((*row, line.get("moved_to")), line)
        told = {name: line[name] for name in ("commit", "before", "again", "stands") if name in line}
        settled.append(replace(one, **told))
    return settled


def event_line(one: Event) -> dict[str, Any]:
    """A new environment as it is remembered."""
    return {"commit": one.commit, "event": one.label}


def path_of(root: Path, machine: str) -> Path:
    """Where a machine's findings are kept, beside its results."""
    return root / "results" / machine / "changes.jsonl"


def is_new(root: Path, line: dict[str, Any], machine: str) -> bool:
    """Whether no earlier night wrote this line; figures may differ by what was measured since, the place may not."""
    return _place(line) not in {_place(known) for known in remembered(path_of(root, machine))}


def _place(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(name) for name in ("row", "environment", "event", "commit", "text"))


def remember(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Add lines to what is known."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if text:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
