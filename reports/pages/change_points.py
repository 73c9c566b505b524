"""The commits where a series changed its level, and where a machine went on in another environment, as tables."""

from __future__ import annotations

import pandas as pd

from reports.changes import Event, Finding, events, findings, histories
from reports.view import Cell, Table

CHANGES = (
    ("Row", "as asv names it"), ("Machine", ""), ("Before", "last commit of the old level"),
    ("From", "first commit of the new level"), ("Ratio", "new level over old"), ("Confidence", "1 - p, rank-sum test"),
    ("Verdict", ""),
)  # fmt: skip
EVENTS = (("Machine", ""), ("From", "first commit there"), ("Environment", "an event, not a regression"))


class ChangePoints:
    """Every change point and environment change in `rows`, the whole history."""

    def __init__(self, rows: pd.DataFrame) -> None:
        order = list(dict.fromkeys(rows.sort_values("date")["commit"]))
        series = histories(rows, order)
        self.findings = findings(series)
        self.events = events(series, order)

    def on(self, rows: pd.DataFrame) -> list[str]:
        """The commits to mark in a figure that shows `rows`."""
        shown = {(row["machine"], row["benchmark"], ", ".join(row["params"])) for _, row in rows.iterrows()}
        found = [one for one in self.findings if (one.series.machine, one.series.benchmark, one.series.params) in shown]
        return sorted({one.commit for one in found})

    def tables(self) -> dict[str, Table | None]:
        """`changes` and `events`, None where there is none."""
        changes = [_change(one) for one in self.findings]
        begun = [_event(one) for one in self.events]
        return {
            "changes": Table("Change points, largest slowdown first", CHANGES, changes) if changes else None,
            "events": Table("New environments", EVENTS, begun) if begun else None,
        }


def _change(one: Finding) -> list[Cell]:
    return [
        Cell(one.series.row, kind="long"),
        Cell(one.series.machine),
        Cell(one.before),
        Cell(one.commit),
        Cell(f"{one.ratio:.2f}×", sort=one.ratio),
        Cell(f"{100 * one.confidence:.2f} %", sort=one.confidence),
        Cell(one.verdict, kind="reading-longer" if one.verdict == "slower" else "reading-shorter"),
    ]


def _event(one: Event) -> list[Cell]:
    return [Cell(one.machine), Cell(one.commit), Cell(one.label, kind="long")]
