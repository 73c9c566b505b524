"""What one night found that no earlier night reported: changes of time, of agreement and memory, of the environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.gate import quality
from reports.nightly.commits import history
from reports.nightly.memory import event_line, finding_lines, is_new, path_of, remember
from reports.record.rows import name_of
from reports.record.stored import Stored
from reports.statistics.changes import Event, Finding, events, findings, histories
from reports.statistics.nights import finding_line
from reports.statistics.sessions import SERIES, points

FINE, REGRESSION = 0, 1


@dataclass(frozen=True)
class Worse:
    """Agreement, peak memory or saved bytes of a row became worse from one measured commit to the next."""

    machine: str
    row: str
    commit: str
    before: str
    text: str


@dataclass(frozen=True)
class Night:
    """What one night found that no earlier night reported."""

    findings: tuple[Finding, ...]
    events: tuple[Event, ...]
    worse: tuple[Worse, ...]

    @property
    def code(self) -> int:
        """1 if anything became slower or worse, else 0."""
        slower = any(one.stands and one.verdict == "slower" for one in self.findings)
        return REGRESSION if self.worse or slower else FINE

    def lines(self) -> list[str]:
        """The lines to print, slower rows first."""
        worse = [f"worse: {_where(one.commit, one.before, one.row, one.machine)}: {one.text}" for one in self.worse]
        begun = [f"event: {one.commit} on {one.machine}: environment {one.label}" for one in self.events]
        return [*map(_line, self.findings), *worse, *begun] or ["no row changed"]


def _where(commit: str, before: str, row: str, machine: str) -> str:
    return f"{commit} (after {before}) {row} on {machine}"


def _line(one: Finding) -> str:
    where = _where(one.commit, one.before, one.series.row, one.series.machine)
    text = f"{wording.times(one.ratio)} as long, confidence {wording.confidence(one.confidence)}"
    again = f"; {one.again}" if one.again else ""
    return f"{one.verdict if one.stands else 'refuted'}: {where}: {text}{again}"


def judge(root: Path, machine: str, again: Callable[[list[Finding]], list[Finding]] = list) -> Night:
    """Compare the histories of a machine with what its earlier nights reported, and remember what is new.

    `again` returns the new findings, in their order, as measuring them again settled them. The histories of other
    machines are for their own nights, which can measure again.
    """
    order = history(root)
    rows = Stored.of(root / "results").rows
    rows = rows[rows["machine"] == machine]
    series = histories(rows, order)
    seen = [one for one in findings(series) if is_new(root, finding_line(one), one.series.machine)]
    settled = again(seen)
    new = [one for one in settled if is_new(root, finding_line(one), one.series.machine)]
    begun = [one for one in events(series, order) if is_new(root, event_line(one), one.machine)]
    worse = [one for one in became_worse(rows, order) if is_new(root, vars(one), one.machine)]
    lines = finding_lines(machine, seen, settled) + [event_line(one) for one in begun] + [vars(one) for one in worse]
    remember(path_of(root, machine), lines)
    return Night(tuple(new), tuple(begun), tuple(worse))


def became_worse(rows: pd.DataFrame, order: Sequence[str]) -> list[Worse]:
    """What became worse, except for time, from the second newest to the newest commit of each row."""
    place = {commit: index for index, commit in enumerate(order)}
    known = points(rows[rows["commit"].isin(place) & rows["status"].isin(["ok", "disturbed", "wrong"])])
    known = known.assign(place=known["commit"].map(place)).sort_values("place")
    pairs = (group.iloc[-2:] for _, group in known.groupby(SERIES, sort=True) if len(group) > 1)
    return [one for pair in pairs for one in _worse(_record(pair.iloc[0]), _record(pair.iloc[1]))]


def _worse(before: quality.Record, after: quality.Record) -> list[Worse]:
    row = name_of(after["benchmark"], after["params"])
    changes = (change for change in quality.changes(before, after) if change.worse)
    return [Worse(after["machine"], row, after["commit"], before["commit"], change.text) for change in changes]


def _record(given: pd.Series[Any]) -> quality.Record:
    """A row of the frame as a record of a side-car, in which missing fields are None."""
    row = {str(name): None if isinstance(value, float) and pd.isna(value) else value for name, value in given.items()}
    verdict = "wrong" if row["status"] == "wrong" else row.get("verdict")
    return {**row, "agreement": {**row, "verdict": verdict}}
