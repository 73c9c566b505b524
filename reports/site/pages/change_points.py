"""Tables of the commits where a series changed its level, and where a machine continued in another environment.

A history alone mistakes changes of the machine for changes of the code. What a night measured again in pairs is shown
as it was settled: at the commit where the pairs put it, or as refuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.view import Cell, Table, number
from reports.statistics.changes import Event, Finding, events, findings, histories
from reports.statistics.nights import settled

CHANGES = (
    ("Row", "as asv names it"), ("Verdict", ""), ("Ratio", "new level over old, of the history"),
    ("Measured again", "in pairs of fresh processes, one of each commit"),
    ("Before", "last commit of the old level"), ("From", "first commit of the new level"),
    ("Confidence", "1 - p of the rank-sum test"), ("Machine", ""),
)  # fmt: skip
EVENTS = (("Machine", ""), ("From", "first commit there"), ("Environment", "not a regression"))


class ChangePoints:
    """Every change point and environment change in `rows`, the whole history, as `nights` settled them."""

    def __init__(self, rows: pd.DataFrame, nights: Sequence[dict[str, Any]] = ()) -> None:
        order = list(dict.fromkeys(rows.sort_values("date")["commit"]))
        series = histories(rows, order)
        found = settled(findings(series), nights)
        self.standing = [one for one in found if one.stands]
        self.refuted = [one for one in found if not one.stands]
        self.events = events(series, order)

    def on(self, rows: pd.DataFrame) -> list[str]:
        """The commits to mark in a figure of `rows`: those with a finding that stands."""
        shown = set(zip(rows["machine"], rows["benchmark"], rows["params"], strict=True))
        found = [one for one in self.standing if (one.series.machine, one.series.benchmark, one.series.params) in shown]
        return sorted({one.commit for one in found} & set(rows["commit"]))

    def tables(self) -> dict[str, Table | None]:
        """`changes`, `refuted` and `events`, None where there is none."""
        standing, refuted = ([_change(one) for one in found] for found in (self.standing, self.refuted))
        begun = [_event(one) for one in self.events]
        return {
            "changes": Table("Change points, largest slowdown first", CHANGES, standing) if standing else None,
            "refuted": Table("Refuted change points", CHANGES, refuted) if refuted else None,
            "events": Table("New environments", EVENTS, begun) if begun else None,
        }


def _change(one: Finding) -> list[Cell]:
    return [
        Cell(one.series.row, kind="long"),
        _verdict(one),
        number(one.ratio, wording.times),
        Cell(one.again or "not yet", kind="long"),
        Cell(one.before),
        Cell(one.commit),
        number(one.confidence, wording.confidence),
        Cell(one.series.machine),
    ]


def _verdict(one: Finding) -> Cell:
    if not one.stands:
        return Cell("refuted")
    return Cell(one.verdict, kind="reading-longer" if one.verdict == "slower" else "reading-shorter")


def _event(one: Event) -> list[Cell]:
    return [Cell(one.machine), Cell(one.commit), Cell(one.label, kind="long")]
