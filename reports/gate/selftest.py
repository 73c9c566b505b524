"""`gate --self-test`: how often the gate cries wolf on this machine, and which slowdowns it finds.

One revision is built twice. Identical code gives the false alarms, of time and of instructions; plants of known size
(see `plants`) give the share that is found by size; every row's own noise gives the smallest change within its reach.
The figures go to `results/<machine>/gate-selftest.json`, and the nightly keeps them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from lossimpl.measure import wall
from reports.gate import instructions
from reports.gate.design import RATE, Design, Verdict
from reports.gate.outcome import Fault, plain
from reports.gate.processes import say
from reports.gate.rows import Row, spread_out
from reports.gate.run import EFFECT
from reports.gate.selftest_instructions import by_instructions
from reports.gate.session import Session
from reports.gate.sides import Side, build, commit_of

IMPLEMENTATIONS = ("vectorized", "torch", "native")
SHAPES = ("32x10", "128x1000")
IDENTICAL_ROWS = 210
PLANTED_ROWS = 20  # that the default budget of the gate is meant for
SIZES = (0.05, 0.10, 0.20, 0.50)
STRUCTURAL = ("extra pass", "extra copy", "lost fusion")
ROW_BY_ROW = ("rows", "recorded", "instruction_plants")  # too long to print; the second feeds simulations
SUITE_NAME = "p{:04d}"  # as long as "suite": the length of a path is a part of a process

Plants = Mapping[Row, tuple[str, float]]


@dataclass(frozen=True)
class Judged:
    """What one run said: the verdicts of its rows, its faults, how long it took, and the times of each row."""

    verdicts: dict[Row, Verdict]
    faults: list[Fault]
    seconds: float
    measured: dict[Row, list[float]]


class Bench:
    """Two overlays of one revision, and runs over them with different plants on the head."""

    def __init__(self, repository: Path, revision: str, folder: Path) -> None:
        self.commit = commit_of(repository, revision)
        self.folder = folder
        self.base, self.head = (build(repository, name, self.commit, folder) for name in ("base", "head"))
        self.runs = 0

    def rows(self) -> list[Row]:
        """CPU rows that a process measures in a fraction of a second, spread over losses and implementations."""
        names = Session(self.base, self.head, 300.0, 0).names(self.head)
        small = [row for row, refusal in names.items() if refusal is None and _is_small(row)]
        return spread_out(small, len(small))

    def planted(self, side: Side, plants: Plants) -> Side:
        """A side with plants."""
        self.runs += 1
        suite = side.folder / SUITE_NAME.format(self.runs)
        shutil.copytree(side.source / "benchmarks", suite / "benchmarks")
        plant(suite / "benchmarks", plants)
        return replace(side, suite=suite)

    def judged(self, rows: Iterable[Row], plants: Plants, seconds: float) -> Judged:
        """Run the design over rows until it is done or the time is up."""
        started = wall.now()
        session = Session(self.base, self.planted(self.head, plants), 300.0, seed=self.runs)
        design = Design(rows, EFFECT, RATE)
        session.measure(design, started + seconds)
        verdicts = {row: design.verdict(row) for row in design.progress}
        times = {row: list(chain(*zip(one.base, one.head, strict=True))) for row, one in session.pairs.items()}
        return Judged(verdicts, session.faults, wall.now() - started, times)

    def counted(self, rows: list[Row], plants: Plants) -> dict[Row, dict[str, float]]:
        """Compare instructions: both sides run the same files, as two revisions do, with plants on the head alone.

        Base goes the same way to each plant, and there does nothing.
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
    """Put the plants into a copy of the benchmarks: their table, their code, and a `ready` that passes through it."""
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


def self_test(repository: Path, revision: str, seconds: float) -> Path:
    """Run the whole self-test: its timed runs take 2 1/2 `seconds` at most; print it; return where the record is."""
    from reports.sweep import machine

    with tempfile.TemporaryDirectory(prefix="gate-", ignore_cleanup_errors=True) as folder:
        say("building the revision twice")
        bench = Bench(repository, revision, Path(folder))
        record = measured(bench, seconds)
    path = repository / "results" / machine.name() / "gate-selftest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(record), indent=1) + "\n")
    print(json.dumps(plain({name: value for name, value in record.items() if name not in ROW_BY_ROW}), indent=1))
    return path


def measured(bench: Bench, seconds: float) -> dict[str, Any]:
    """The record: plain facts, then one table a question."""
    rows = bench.rows()
    few = rows[:PLANTED_ROWS]
    instruction = by_instructions(bench, [row for row in rows if SHAPES[0] in row.params][:IDENTICAL_ROWS])
    say(f"{PLANTED_ROWS} rows with a planted +20 %")
    twenty = bench.judged(few, dict.fromkeys(few, ("busy", 0.2)), seconds)
    say("other sizes, and plants in the way of computing")
    others = other_plants([row for row in rows if row not in few])
    mixed = bench.judged(others, others, seconds / 2)
    say(f"{IDENTICAL_ROWS} rows of identical code")
    identical = bench.judged(rows[:IDENTICAL_ROWS], {}, seconds)
    flagged = [row for row, one in identical.verdicts.items() if one.verdict in ("slower", "faster")]
    return {
        "commit": bench.commit[:12],
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "budget_seconds": seconds,
        "rows_of_identical_code": len(identical.verdicts),
        "flagged_by_time": len(flagged),
        "flagged_names": ", ".join(map(str, flagged)) or "none",
        "identical_code_seconds": round(identical.seconds),
        "planted_20_percent_seconds": round(twenty.seconds),
        "faults": len(identical.faults) + len(twenty.faults) + len(mixed.faults),
        **instruction,
        "detection": [*detection(twenty, dict.fromkeys(few, ("busy", 0.2))), *detection(mixed, others)],
        "verdicts_on_identical_code": verdict_counts(identical),
        "rows": [_reach(row, one) for row, one in identical.verdicts.items()],
        "recorded": {str(row): [float(f"{one:.5g}") for one in series] for row, series in identical.measured.items()},
    }


def other_plants(rows: list[Row]) -> dict[Row, tuple[str, float]]:
    """Five rows for each other size, five `native` ones for each way of computing more."""
    sizes = [size for size in SIZES if size != 0.2 for _ in range(5)]
    plants: dict[Row, tuple[str, float]] = {row: ("busy", size) for row, size in zip(rows, sizes, strict=False)}
    native = [row for row in rows if row.implementation == "native" and row not in plants and SHAPES[-1] in row.params]
    kinds = [kind for kind in STRUCTURAL for _ in range(5)]
    return plants | {row: (kind, 0.0) for row, kind in zip(native, kinds, strict=False)}


def detection(judged: Judged, plants: Plants) -> list[dict[str, Any]]:
    """Rows found by kind and size of their plant, with the ratios that were measured."""
    table = []
    for kind, size in dict.fromkeys(plants.values()):
        verdicts = [judged.verdicts[row] for row, plant in plants.items() if plant == (kind, size)]
        ratios = sorted(one.estimate.ratio for one in verdicts)
        found = sum(one.verdict == "slower" for one in verdicts)
        table.append(
            {
                "planted": f"+{size:.0%} busy" if kind == "busy" else kind,
                "rows": len(verdicts),
                "found": found,
                "share_found": found / len(verdicts),
                "smallest_ratio_measured": ratios[0],
                "largest_ratio_measured": ratios[-1],
                "median_pairs": sorted(one.pairs for one in verdicts)[len(verdicts) // 2],
            }
        )
    return table


def verdict_counts(judged: Judged) -> list[dict[str, Any]]:
    """How many rows of identical code got which verdict."""
    said = [one.verdict for one in judged.verdicts.values()]
    return [{"verdict": verdict, "rows": said.count(verdict)} for verdict in dict.fromkeys(said)]


def _reach(row: Row, verdict: Verdict) -> dict[str, Any]:
    """A row of identical code: what it was called, and the smallest change that its pairs could have shown."""
    return {
        "row": str(row),
        "verdict": verdict.verdict,
        "ratio": verdict.estimate.ratio,
        "pairs": verdict.pairs,
        "smallest_detectable_ratio": verdict.detectable,
    }
