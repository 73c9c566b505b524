"""Workers on both sides: which rows they can run, one check of each row, and times in pairs of processes.

What fails becomes a `Fault` and the rest continues.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from lossimpl.measure import wall
from reports.gate import quality
from reports.gate.design import Design
from reports.gate.outcome import Fault
from reports.gate.processes import Answer, Answers, Failure, ask, say
from reports.gate.sides import Side
from reports.record.rows import Row
from reports.statistics.paired import log_ratios

CHECK_SECONDS = "0.02"  # per row for samples: the check is about agreement and memory, the pairs about time
OWN_SECONDS = "0.3"  # that a loader's row measures in each process of a pair
MOST_FAILURES = 2  # a single failure of a row may be a passing disturbance

Machine = dict[str, float]


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


class Session:
    """One run over two sides; `silence` is how many seconds a worker may take to answer, `seed` that of the coins."""

    def __init__(self, base: Side, head: Side, silence: float, seed: int) -> None:
        self.sides = {"base": base, "head": head}
        self.silence = silence
        self.coin = random.Random(seed)
        self.faults: list[Fault] = []
        self.pairs: dict[Row, Pairs] = defaultdict(Pairs)
        self.machine: list[Machine] = []
        self.failures: dict[Row, list[Fault]] = defaultdict(list)

    def ask(
        self, side: Side, task: str, rows: list[Row] | None = None, until: float = math.inf, **variables: str
    ) -> Answers:
        """Run one worker on one side, at most until a point in time."""
        job: dict[str, Any] = {"task": task, "suite": str(side.suite)}
        job["rows"] = [[row.benchmark, row.params] for row in rows or []]
        return ask(side.python, job, {**side.environment, **variables}, self.silence, until)

    def names(self, side: Side) -> dict[Row, str | None]:
        """Every row of the suite with the reason why this side cannot run it, or None."""
        answers = self.ask(side, "names")
        for row, answer in answers.rows().items():
            if "error" in answer:
                self.faults.append(Fault(row.benchmark, side.name, answer["error"]))
        if answers.failure:
            self._fault(side, answers.failure)
        return {row: answer["refusal"] for row, answer in answers.rows().items() if "refusal" in answer}

    def check(self, side: Side, rows: list[Row], until: float) -> dict[Row, quality.Record]:
        """Run every row once on one side; what fails is a fault, what runs has a record (empty without a side-car).

        A process that dies loses one row, and the next process continues after it. Rows that are not reached in time
        are left out.
        """
        cars = side.folder / "check.rows.jsonl"
        answered: dict[Row, Answer] = {}
        waiting = list(rows)
        while waiting:
            answers = self.ask(side, "check", waiting, until, LOSSIMPL_ROWS=str(cars), LOSSIMPL_SECONDS=CHECK_SECONDS)
            answered |= answers.rows()
            if answers.failure is None:
                break
            self._fault(side, answers.failure)
            if answers.failure.row is None:
                break
            waiting = [row for row in waiting if row not in answered and row != answers.failure.row]
        return self._checked(side, answered, quality.records(cars))

    def _checked(
        self, side: Side, answered: dict[Row, Answer], known: dict[Row, quality.Record]
    ) -> dict[Row, quality.Record]:
        """The records of rows that ran or whose result is wrong; any other error is a fault."""
        found = {}
        for row, answer in answered.items():
            record = known.get(row, {})
            if "error" in answer and record.get("status") not in quality.WRONG:
                self.faults.append(Fault(str(row), side.name, answer["error"]))
            elif "refusal" not in answer:
                found[row] = record
        return found

    def measure(self, design: Design[Row], deadline: float) -> None:
        """Measure pairs of the rows that the design wants, until it wants none or the next pair would end too late."""
        last = 0.0
        while design.wanted() and wall.now() + last <= deadline:
            started = wall.now()
            self.pair(design, deadline)
            design.look()
            last = wall.now() - started
            left = max(0.0, deadline - wall.now())
            say(f"{len(design.wanted())} rows to measure next, {left:.0f} s left, {last:.0f} s per pair")
        design.look(final=True)

    def pair(self, design: Design[Row], until: float = math.inf) -> None:
        """Run two fresh processes in random order, both with the same rows in the same order."""
        rows = design.wanted()
        self.coin.shuffle(rows)
        order = self.coin.choice([("base", "head"), ("head", "base")])
        answers = {name: self._times(name, rows, until) for name in order}
        for row in rows:
            if all(row in found for found in answers.values()):
                design.observe(row, self._ratio(row, {name: found[row] for name, found in answers.items()}))
            elif len(self.failures[row]) >= MOST_FAILURES:
                self.faults.append(self.failures[row][-1])
                design.drop(row)

    def _times(self, name: str, rows: list[Row], until: float) -> dict[Row, Answer]:
        answers = self.ask(self.sides[name], "times", rows, until, LOSSIMPL_SECONDS=OWN_SECONDS)
        self.machine += [answer["machine"] for answer in answers.received if "machine" in answer]
        if answers.failure:
            for row in [answers.failure.row] if answers.failure.row else rows:
                self.failures[row].append(Fault(str(row), name, str(answers.failure)))
        return {row: answer for row, answer in answers.rows().items() if "seconds" in answer}

    def _ratio(self, row: Row, answers: dict[str, Answer]) -> float:
        """Store the times of both sides, in the order in which they ran, and return the log ratio."""
        base, head = (answers[name]["seconds"] for name in ("base", "head"))
        pairs = self.pairs[row]
        pairs.base.append(base)
        pairs.head.append(head)
        pairs.base_first.append(next(iter(answers)) == "base")
        for name, answer in answers.items():
            for kind in ("device_seconds", "cycles"):
                pairs.device[f"{name}_{kind}"] += [answer[kind]] if kind in answer else []
        return float(log_ratios([base], [head])[0])

    def _fault(self, side: Side, failure: Failure) -> None:
        fault = Fault(str(failure.row) if failure.row else "", side.name, str(failure))
        if fault not in self.faults:
            self.faults.append(fault)
