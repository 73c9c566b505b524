"""A session: each case measured in rounds that are spread over the whole session.

The modes of a loss, a shape and a dtype have the same inputs, so one process measures a round of all of them, one after
the other. First every case gets the rounds that its grid asks for, in a new random order each time.
What time is left goes to cases whose rounds were disturbed, and then to those whose intervals are widest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lossimpl.measure import wall
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from lossimpl.row import DECISIVE, combined, from_record
from lossimpl.row import Row as Measured
from lossimpl.spec import COMPILING
from reports.record.lines import objects_from
from reports.record.rows import Row
from reports.sweep.store import Store, key_of

CASE_SECONDS = 60.0  # for one process, and as much again per implementation, of which one may compile
MOST_ERRORS = 2  # of an implementation, before it is no longer tried
MODES = ("forward", "backward", "step", "graph", "reuse")  # `reuse` last: a process cannot undo it


@dataclass(frozen=True)
class Effort:
    """What a session may take: `rounds` per case at least and `most` at most, `call_seconds` per implementation.

    `seconds` is the time after which no further round is begun for an interval that is wider than `precision` to one
    side, or for a disturbed row.
    """

    rounds: int
    most: int
    call_seconds: float
    seconds: float
    precision: float = 0.05


class Runner(Protocol):
    """Runs the benchmark of a row in a process of its own."""

    def run(self, row: Row, seconds: float) -> str:
        """What went wrong, or the empty string."""


@dataclass(eq=False)
class Case:
    """The rows that one round measures together, by implementation, and what its rounds gave so far."""

    rows: dict[str, Row]
    found: dict[str, list[Measured]] = field(default_factory=dict)
    number: int = 0
    seconds: float = 0.0
    asked: list[Row] = field(default_factory=list)  # those that the latest round measures

    def begin(self, number: int) -> dict[str, Any]:
        """Begin a round of the implementations that are still measured: what its process has to know."""
        names = self.open()
        self.number, self.asked = number, [self.rows[name] for name in names]
        return {"mode": self.mode, "number": number, "implementations": names, "checked": self.checked()}

    @property
    def size(self) -> int:
        """The number of records so far."""
        return sum(map(len, self.found.values()))

    @property
    def mode(self) -> str:
        """What is timed of the loss."""
        return str(next(iter(self.rows.values())).params[-1])

    @property
    def words(self) -> str:
        """The case as people read it: `mse_loss 32x10 float32 cpu step`."""
        row = next(iter(self.rows.values()))
        return " ".join((row.stem, *map(str, row.params[1:])))

    def open(self) -> list[str]:
        """The implementations that a further round measures."""
        return [name for name in self.rows if not self._closed(self.found.get(name, []))]

    def _closed(self, found: list[Measured]) -> bool:
        return (
            any(one.status in DECISIVE for one in found) or sum(one.status == "error" for one in found) >= MOST_ERRORS
        )

    def checked(self) -> list[str]:
        """The implementations that agreed in an earlier round."""
        return [name for name, found in self.found.items() if any(one.agreement and one.rounds for one in found)]

    def results(self) -> list[Measured]:
        """The rows of the session so far."""
        return [combined(found) for found in self.found.values()]

    def need(self, effort: Effort) -> float:
        """How much the case needs another round: infinite for a disturbed row, else the widest interval; 0 for none."""
        if self.number >= effort.most or not self.open():
            return 0.0
        timed = [one for one in self.results() if one.status in ("ok", "disturbed") and one.rounds]
        if any(len(one.quiet) < FEWEST_ROUNDS for one in timed):
            return float("inf")
        return max((width for one in timed if (width := half_width(one)) > effort.precision), default=0.0)


def half_width(row: Measured) -> float:
    """How far the upper end of the time's interval lies above it, as a fraction."""
    time = over_rounds([*row.times.values()])
    return time.high / time.value - 1


class Session:
    """Measures rows in rounds through a runner, and keeps what they gave.

    `plan` is the file that tells a process which round to measure. Records of an interrupted session count.
    """

    def __init__(self, rows: Sequence[Row], store: Store, effort: Effort, plan: Path, session: str) -> None:
        self.store, self.effort, self.plan, self.session = store, effort, plan, session
        self.cases = cases_of(rows)
        self.loaders = [row for row in rows if row.measures_itself]
        self.case_of = {str(row): (case, name) for case in self.cases for name, row in case.rows.items()}
        self.measured_loaders: set[str] = set()
        self.position = 0
        self.collect()

    def run(self, runner: Runner, report: Callable[[Case], None]) -> None:
        """All rounds, then the loaders, then further rounds while there is time and need; each case is reported."""
        started = wall.now()
        for number in range(1, self.effort.rounds + 1):
            self._rounds(runner, self.cases, number, report)
        for row in self.loaders:
            if str(row) not in self.measured_loaders:
                runner.run(row, CASE_SECONDS)
        while wall.now() - started < self.effort.seconds and (needy := self.neediest()):
            self.round(runner, [needy], needy.number + 1, report)

    def begin(self, runner: Runner, report: Callable[[Case], None]) -> None:
        """The first round of the cases that nothing is compiled for, whose results need not wait for a compiler."""
        self._rounds(runner, [case for case in self.cases if case.rows.keys().isdisjoint(COMPILING)], 1, report)

    def _rounds(self, runner: Runner, cases: Sequence[Case], number: int, report: Callable[[Case], None]) -> None:
        groups = by_inputs(cases)
        for group in random.Random(f"{self.session} {number}").sample(groups, len(groups)):
            self.round(runner, [case for case in group if case.number < number and case.open()], number, report)

    def neediest(self) -> Case | None:
        """The case that needs a further round most, of several the one with the fewest rounds."""
        needed = [(case.need(self.effort), -case.number, index) for index, case in enumerate(self.cases)]
        need, _, index = max(needed, default=(0.0, 0, 0))
        return self.cases[index] if need else None

    def round(self, runner: Runner, cases: Sequence[Case], number: int, report: Callable[[Case], None]) -> None:
        """Measure a round of cases in one process.

        If it dies, the case that it was measuring becomes an error, and another process measures those after it.
        """
        while cases:
            sizes = [case.size for case in cases]
            problem = self._process(runner, cases, number)
            missing = [case for case, size in zip(cases, sizes, strict=True) if case.size == size]
            for row in missing[0].asked if missing else ():
                self.store.append(row.failure(problem or "the process recorded nothing"))
            self.collect()
            for case in cases:
                if case not in missing[1:]:
                    report(case)
            cases = missing[1:]

    def _process(self, runner: Runner, cases: Sequence[Case], number: int) -> str:
        """Measure cases in a process of their own; what went wrong, or the empty string."""
        plan = [case.begin(number) for case in cases]
        self.plan.write_text(json.dumps({"seconds": self.effort.call_seconds, "cases": plan}))
        limit = CASE_SECONDS * sum(1 + len(case.asked) for case in cases)
        started = wall.now()
        problem = runner.run(cases[0].asked[0], limit)
        for case in cases:
            case.seconds = (wall.now() - started) / len(cases)
        self.collect()
        return problem

    def collect(self) -> None:
        """Take what has been recorded since the last time."""
        records, self.position = objects_from(self.store.side_car("rounds"), self.position)
        for record in records:
            key = key_of(record)
            if key in self.case_of:
                case, name = self.case_of[key]
                case.found.setdefault(name, []).append(from_record(record))
                case.number = max([case.number, *(one["number"] for one in record.get("rounds", ()))])
            else:
                self.measured_loaders.add(key)


def cases_of(rows: Sequence[Row]) -> list[Case]:
    """The rows that are calls, grouped by everything but their implementation."""
    found: dict[tuple[Any, ...], Case] = {}
    for row in rows:
        if not row.measures_itself:
            found.setdefault((row.benchmark, *row.params[1:]), Case({})).rows[row.implementation] = row
    return list(found.values())


def by_inputs(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases in groups that differ in the mode only, in the order of `MODES`."""
    found: dict[tuple[Any, ...], list[Case]] = {}
    for case in sorted(cases, key=lambda case: MODES.index(case.mode)):
        row = next(iter(case.rows.values()))
        found.setdefault((row.benchmark, *row.params[1:-1]), []).append(case)
    return list(found.values())
