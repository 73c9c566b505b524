"""Runs of the gate on one revision that is built twice, with planted slowdowns on one side."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from lossimpl.building import commit_of
from lossimpl.measure import wall
from reports.gate import instructions
from reports.gate.design import RATE, Design, Verdict
from reports.gate.draft import EFFECT
from reports.gate.outcome import Fault
from reports.gate.processes import say
from reports.gate.session import Session
from reports.gate.sides import Side, build
from reports.record.rows import Row

IMPLEMENTATIONS = ("vectorized", "torch", "native")
SHAPES = ("32x10", "128x1000")
SUITE_NAME = "p{:04d}"  # as long as "suite", since the length of a path is part of a process

Plants = Mapping[Row, tuple[str, float]]  # kind and size, see `plants`


BUSY = "while True: sum(range(10_000))"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """That many processes that never rest, beside whatever is measured."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


@dataclass(frozen=True)
class Judged:
    """The result of one run: the verdicts of its rows, its faults, its duration, and the times of each row."""

    verdicts: dict[Row, Verdict]
    faults: list[Fault]
    seconds: float
    measured: dict[Row, list[float]]


class Bench:
    """Two overlays of one revision, and runs on them with different plants on head."""

    def __init__(self, repository: Path, revision: str, folder: Path) -> None:
        self.commit = commit_of(repository, revision)
        self.folder = folder
        self.base, self.head = (build(repository, name, self.commit, folder) for name in ("base", "head"))
        self.runs = 0

    def rows(self) -> list[Row]:
        """CPU rows that take a fraction of a second, shuffled in the same way every time."""
        names = Session(self.base, self.head, 300.0, 0).names(self.head)
        rows = [row for row, refusal in names.items() if refusal is None and _is_small(row)]
        random.Random(0).shuffle(rows)
        return rows

    def planted(self, side: Side, plants: Plants) -> Side:
        """A side with plants."""
        self.runs += 1
        suite = side.folder / SUITE_NAME.format(self.runs)
        shutil.copytree(side.source / "benchmarks", suite / "benchmarks")
        plant(suite / "benchmarks", plants)
        return replace(side, suite=suite)

    def judged(self, rows: Iterable[Row], plants: Plants, seconds: float) -> Judged:
        """Run the design on rows until it is done or the time is up."""
        started = wall.now()
        session = Session(self.base, self.planted(self.head, plants), 300.0, seed=self.runs)
        design = Design(rows, EFFECT, RATE)
        session.measure(design, started + seconds)
        verdicts = {row: design.verdict(row) for row in design.progress}
        times = {row: list(chain(*zip(one.base, one.head, strict=True))) for row, one in session.pairs.items()}
        return Judged(verdicts, session.faults, wall.now() - started, times)

    def counted(self, rows: list[Row], plants: Plants) -> dict[Row, dict[str, float]]:
        """Compare instructions, with plants on head only.

        Both sides run the same files, as two revisions do; on base the plants have no effect.
        """
        base = self.planted(self.base, dict.fromkeys(plants, ("instructions", 0.0)))
        head = self.planted(self.head, plants)
        counts, notes = instructions.count_sides(base, head, rows, self.folder / f"instructions{self.runs}")
        for note in notes:
            say(note)
        return {row: one for row in rows if (one := instructions.compared(row, counts))}


def _is_small(row: Row) -> bool:
    return row.device == "cpu" and row.implementation in IMPLEMENTATIONS and bool(set(SHAPES) & set(row.params))


def plant(suite: Path, plants: Plants) -> None:
    """Put the plants into a copy of the benchmarks: their table, their code, and a `ready` that applies them."""
    table = {"|".join((row.stem, *row.params)): list(what) for row, what in plants.items()}
    (suite / "plants.json").write_text(json.dumps(table))
    shutil.copy(Path(__file__).with_name("plants.py"), suite / "planted.py")
    with (suite / "calls.py").open("a") as calls:
        calls.write(
            "\n\nfrom . import planted\n\n\n"
            "def first_tensor(loss, *params):\n"
            "    return workload.inputs_of(registry.get(loss), case_of(loss, *params)).tensors[0].detach()\n\n\n"
            "ready = planted.planted(ready, first_tensor)\n"
        )
