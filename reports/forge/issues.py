"""One issue per commit that made rows slower or worse: opened once, kept up to date, closed when it is over.

The issues follow from what the nights recorded, so a run may be repeated or killed at any point, and each finding is
still reported once. A row is `fixed` when later changes brought it back, and `gone` when no newer commit has it: rows
that were removed on purpose raise nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.forge.client import Forge
from reports.statistics.changes import EFFECT

LABEL = "lossimpl-finding"
MOST_ROWS = 50
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Worse:
    """A row that a commit made slower or worse, and what became of it since: `open`, `fixed by ...` or `gone`."""

    machine: str
    row: str
    before: str
    what: str
    again: str
    state: str


def worse(nights: Sequence[Line], rows: pd.DataFrame) -> dict[str, list[Worse]]:
    """What each commit made worse, by the lines of all nights in their order, each with its `machine`."""
    known = [one for one in nights if one.get("row") and one.get("stands", True) and "moved_to" not in one]
    last = _last_rows(rows)
    found: dict[str, list[Worse]] = {}
    for index, one in enumerate(known):
        if "text" in one or one["ratio"] > 1:
            what = one.get("text") or f"{wording.times(one['ratio'])} as long"
            state = _state(one, known[index + 1 :], last)
            held = Worse(one["machine"], one["row"], one.get("before", ""), what, one.get("again", ""), state)
            found.setdefault(one["commit"], []).append(held)
    return found


def _last_rows(rows: pd.DataFrame) -> dict[str, set[str]]:
    """The rows that the newest commit of each machine has."""
    newest = rows.sort_values("date").groupby("machine")["commit"].last()
    return {
        str(machine): set(rows.loc[(rows["machine"] == machine) & (rows["commit"] == commit), "row"])
        for machine, commit in newest.items()
    }


def _state(one: Line, later: Iterable[Line], last: Mapping[str, set[str]]) -> str:
    level = one.get("ratio", 1.0)
    for other in later:
        same = all(other.get(name) == one.get(name) for name in ("machine", "row", "environment"))
        if same and "ratio" in other and "ratio" in one:
            level *= other["ratio"]
            if level <= 1 + EFFECT:
                return f"fixed by {other['commit']}"
    return "open" if one["row"] in last.get(one["machine"], {one["row"]}) else "gone"


def mark(commit: str) -> str:
    """What the issue of a commit starts with."""
    return f"<!-- lossimpl finding {commit} -->"


def text(commit: str, found: Sequence[Worse]) -> str:
    """The issue of a commit."""
    lines = [f"| `{one.row}` | {one.machine} | {one.what} | {one.state} | {one.again or 'not yet'} |" for one in found]
    more = [f"\n{len(lines) - MOST_ROWS} more rows are on the page of the history."] * (len(lines) > MOST_ROWS)
    before = found[0].before
    return "\n".join(
        [
            mark(commit),
            f"Nights found rows that are slower or worse from `{commit}` on.",
            "",
            "| row | machine | how much | now | measured again |",
            "|---|---|---|---|---|",
            *lines[:MOST_ROWS],
            *more,
            "",
            f"To reproduce: `make gate BASE={before} HEAD={commit}`",
            "",
        ]
    )


def title(commit: str, found: Sequence[Worse]) -> str:
    """The title of the issue, which stays as it was first."""
    rows = len({one.row for one in found})
    return f"{commit} made {rows} row{'s' if rows != 1 else ''} slower or worse"


def update(forge: Forge, found: Mapping[str, Sequence[Worse]]) -> list[str]:
    """Bring the issues up to date; return what was done, a line each.

    Issues of findings that are over when they are first seen are not opened.
    """
    known = {one.body.splitlines()[0]: one for one in forge.issues(LABEL) if one.body}
    done = []
    for commit, rows in found.items():
        open_now = any(one.state == "open" for one in rows)
        body, held = text(commit, rows), known.get(mark(commit))
        if held is None:
            if open_now:
                done.append(f"issue {forge.open_issue(title(commit, rows), body, LABEL)} opened for {commit}")
        elif held.body.replace("\r\n", "\n").strip() != body.strip():
            forge.edit_issue(held.number, body, open_now)
            done.append(f"issue {held.number} {'updated' if open_now else 'closed'} for {commit}")
    return done
