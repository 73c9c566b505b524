"""Tables of the commits where a series changed its level, and where a machine continued in another environment.

A history alone mistakes changes of the machine for changes of the code. What a night measured again in pairs is shown
as it was settled: at the commit where the pairs put it, or as refuted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.view import Cell, Table, number
from reports.statistics.changes import Event, Finding
from reports.statistics.nights import settled

MOST = 500  # lines of a table
CHANGES = (
    ("Row", "as asv names it"), ("Verdict", ""), ("Ratio", "new level over old, of the history"),
    ("Measured again", "in pairs of fresh processes, one of each commit"),
    ("Before", "last commit of the old level"), ("From", "first commit of the new level"),
    ("Confidence", "1 - p of the rank-sum test"), ("Machine", ""),
)  # fmt: skip
EVENTS = (("Machine", ""), ("From", "first commit there"), ("Environment", "not a regression"))


class ChangePoints:
    """Change points as `nights` settled them, and the environment changes of the whole history."""

    def __init__(
        self, found: Iterable[Finding], events: Sequence[Event], nights: Sequence[dict[str, Any]] = ()
    ) -> None:
        known = settled(found, nights)
        self.standing = [one for one in known if one.stands]
        self.refuted = [one for one in known if not one.stands]
        self.events = events

    def on(self, rows: pd.DataFrame) -> list[str]:
        """The commits to mark in a figure of `rows`: those with a finding that stands."""
        shown = set(zip(rows["machine"], rows["benchmark"], rows["params"], strict=True))
        found = [one for one in self.standing if (one.series.machine, one.series.benchmark, one.series.params) in shown]
        return sorted({one.commit for one in found} & set(rows["commit"]))

    @property
    def changed(self) -> dict[tuple[str, str, tuple[str, ...]], str]:
        """The series with a finding that stands: machine, benchmark and params, with its newest commit."""
        return {(one.series.machine, one.series.benchmark, one.series.params): one.commit for one in self.standing}

    def tables(self) -> dict[str, Table | None]:
        """`changes`, `refuted` and `events`, None where there is none."""
        standing, refuted = ([_change(one) for one in found[:MOST]] for found in (self.standing, self.refuted))
        more = f" ({len(standing)} of {len(self.standing)})" if len(self.standing) > MOST else ""
        begun = [_event(one) for one in self.events]
        return {
            "changes": Table(f"Change points, largest slowdown first{more}", CHANGES, standing) if standing else None,
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
