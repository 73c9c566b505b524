"""Workers on both sides: which rows they can run, one check of each row, times in pairs of processes.

What fails becomes a `Fault` and the rest continues.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lossimpl.building import BUILD_SECONDS
from lossimpl.measure import wall
from reports.gate import machine, quality
from reports.gate.alternating import Alternation, Times
from reports.gate.design import Design
from reports.gate.outcome import Fault
from reports.gate.processes import Answer, Answers, Failure, Patience, ask, say
from reports.gate.sides import Side
from reports.record.rows import Row
from reports.statistics.paired import log_ratios

CHECK_SECONDS = "0.02"  # per row for samples: the check is about agreement and memory, the pairs about time
MOST_FAILURES = 2  # a single failure of a row may be a passing disturbance


@dataclass
class Pairs:
    """The times of one row, pair by pair, and whether base ran first."""

    base: list[float] = field(default_factory=list)
    head: list[float] = field(default_factory=list)
    base_first: list[bool] = field(default_factory=list)
    device: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def device_medians(self) -> dict[str, float]:
        """The medians of device seconds and cycles of each side, on a GPU."""
        return {name: statistics.median(values) for name, values in self.device.items() if values}

    def add(self, base: Times, head: Times, base_first: bool) -> float:
        """Store the times of a pair, and return its log ratio."""
        self.base.append(base.seconds)
        self.head.append(head.seconds)
        self.base_first.append(base_first)
        for name, one in (("base", base), ("head", head)):
            for kind, value in one.device.items():
                self.device[f"{name}_{kind}"].append(value)
        return float(log_ratios([base.seconds], [head.seconds])[0])


Names = frozenset[tuple[str, str]]  # of functions: file and qualified name


@dataclass
class Known:
    """What one side answered about a row: the functions that it executes, and its record, or why it refused."""

    setup: Names = frozenset()
    executed: Names = frozenset()
    record: quality.Record = field(default_factory=dict)
    refusal: str = ""


class Session:
    """One run over two sides; `silence` is how many seconds a worker may take to answer, `seed` that of the coins."""

    def __init__(self, base: Side, head: Side, silence: float, seed: int) -> None:
        self.sides = {"base": base, "head": head}
        self.silence = silence
        self.coin = random.Random(seed)
        self.faults: list[Fault] = []
        self.pairs: dict[Row, Pairs] = defaultdict(Pairs)
        self.machine: list[dict[str, float]] = []
        self.manifests: dict[str, dict[str, Any]] = {}
        self.failures: dict[Row, list[Fault]] = defaultdict(list)

    def ask(
        self, side: Side, task: str, rows: list[Row] | None = None, until: float = math.inf, **variables: str
    ) -> Answers:
        """Run one worker on one side, at most until a point in time; only a build may be silent for long."""
        job: dict[str, Any] = {"task": task, "suite": str(side.suite), "roots": side.roots}
        job["rows"] = [[row.benchmark, row.params] for row in rows or []]
        silence = BUILD_SECONDS if task == "prepare" else self.silence
        return ask(side.python, job, {**side.environment, **variables}, silence, until)

    def names(self, side: Side) -> dict[Row, str | None]:
        """Every row of the suite with the reason why this side cannot run it, or None."""
        answers = self.ask(side, "names")
        errors = {row.benchmark: answer["error"] for row, answer in answers.rows().items() if "error" in answer}
        if len(errors) > 1 and len(set(errors.values())) == 1:
            errors = {"": next(iter(errors.values()))}  # one cause, such as a package that cannot be imported
        self.faults += [Fault(name, side.name, error) for name, error in errors.items()]
        if answers.failure:
            self.fault(side.name, answers.failure)
        self.manifests[side.name] = next((one["manifest"] for one in answers.received if "manifest" in one), {})
        return {row: answer["refusal"] for row, answer in answers.rows().items() if "refusal" in answer}

    def trace(self, side: Side, rows: list[Row], until: float) -> dict[Row, Known]:
        """The functions that each row executes on one side; what fails is a fault; rows not reached are left out."""
        return {
            row: Known(_names(answer, "setup"), _names(answer, "executed"), {}, answer.get("refusal", ""))
            for row, answer in self._each(side, "trace", rows, until).items()
            if not self._failed(side, row, answer)
        }

    def check(self, side: Side, rows: list[Row], until: float) -> dict[Row, quality.Record]:
        """The record of every row, run once on one side; what fails is a fault, but for wrong results."""
        cars = side.folder / "check.rows.jsonl"
        answers = self._each(side, "check", rows, until, LOSSIMPL_ROWS=str(cars), LOSSIMPL_SECONDS=CHECK_SECONDS)
        records = quality.records(cars)
        wrong = {row for row, one in records.items() if one.get("status") in quality.WRONG}
        return {
            row: records.get(row, {})
            for row, answer in answers.items()
            if row in wrong or not self._failed(side, row, answer)
        }

    def _each(self, side: Side, task: str, rows: list[Row], until: float, **variables: str) -> dict[Row, Answer]:
        """The answers on rows. A process that dies loses one row, and the next process continues after it."""
        answered: dict[Row, Answer] = {}
        waiting = list(rows)
        while waiting:
            answers = self.ask(side, task, waiting, until, **variables)
            answered |= answers.rows()
            if answers.failure is None:
                break
            self.fault(side.name, answers.failure)
            if answers.failure.row is None:
                break
            waiting = [row for row in waiting if row not in answered and row != answers.failure.row]
        return answered

    def _failed(self, side: Side, row: Row, answer: Answer) -> bool:
        """Whether a row raised an error, which then is a fault."""
        if "error" in answer:
            self.fault(side.name, Failure("", answer["error"], row))
        return "error" in answer

    def measure(self, design: Design[Row], deadline: float, settled: Collection[Row] = ()) -> None:
        """Measure pairs of the rows that the design wants, until it wants none or the next pair would end too late.

        Rows in `settled` are decided by other means: they are dropped unless their first look makes them suspects.
        """
        last = 0.0
        while design.wanted() and wall.now() + last <= deadline:
            started = wall.now()
            self.pair(design, deadline)
            design.look()
            for row in settled:
                if design.progress[row].looks and design.progress[row].stage == "screening":
                    design.drop(row)
            last = wall.now() - started
            left = max(0.0, deadline - wall.now())
            say(f"{len(design.wanted())} rows to measure next, {left:.0f} s left, {last:.0f} s per pair")
        design.look(final=True)

    def pair(self, design: Design[Row], until: float = math.inf) -> None:
        """Start a fresh process per side, and time the rows in forks of both, alternating between them."""
        rows = design.wanted()
        self.coin.shuffle(rows)
        before = machine.state()
        with Alternation(self.sides, rows, Patience(self.silence, until), self.coin) as processes:
            for row in rows:
                if processes.failure or processes.over:
                    break
                measured = processes.measure(row)
                if measured is not None:
                    design.observe(row, self.pairs[row].add(*measured))
                elif processes.lost:
                    self._lost(design, row, *processes.lost)
        if processes.failure and processes.failure[1].row is None:  # a process did not start
            for row in rows:
                self._lost(design, row, *processes.failure)
        self.machine.append(machine.since(before))

    def _lost(self, design: Design[Row], row: Row, side: str, failure: Failure) -> None:
        """Note that a row failed on a side; if it fails again, it is a fault and no longer measured."""
        self.failures[row].append(Fault(str(row), side, str(failure)))
        if len(self.failures[row]) >= MOST_FAILURES:
            self.faults.append(self.failures[row][-1])
            design.drop(row)

    def fault(self, side: str, failure: Failure) -> None:
        """Note a failure, once."""
        fault = Fault(str(failure.row) if failure.row else "", side, str(failure))
        if fault not in self.faults:
            self.faults.append(fault)


def _names(answer: Answer, field_name: str) -> Names:
    """The functions of an answer; those inside of others count as their outer one."""
    return frozenset((file, name.partition(".<locals>")[0]) for file, name in answer.get(field_name, ()))
