"""Instructions per call under Callgrind, compared row by row: almost without noise.

One process counts many rows, since importing torch there takes half a minute. Each row is dumped at two repeat counts;
their difference is free of fixed costs and of the request itself. Processes that do the same repeat their counts to the
instruction, so running one again would show nothing of a row's noise: the number of collisions in Python's hash tables,
which depends on hashes and addresses. Two processes that differ in these count 0.2 % apart at the median and up to
1.6 %, however many calls they make. So a row whose counts differ is counted by further pairs of processes, each with
other hashes and the rows in reverse order, until it is clear on which side of the threshold its change lies. Their mean
is judged, and their disagreement is the row's own tolerance. Only small rows are counted: their time is mostly
instructions, and Valgrind is fifty times slower. It emulates no AVX-512, so libraries are asked for AVX2 kernels, and
`compiled` rows are left out, since their code was generated for the actual processor.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lossimpl import wording
from lossimpl.measure import wall
from reports.gate.outcome import Change
from reports.gate.processes import Answers, ask, row_of, side_by_side
from reports.gate.sides import Side, first_lines, run
from reports.record.rows import Row

MOST_SECONDS = 2e-3  # a slower call is mostly memory traffic, and takes long to count
WARMUP = 12  # calls; CPython specialises a function's code at its eighth
REPEATS = (1, 16)
FLOOR = 0.01  # smaller changes of the instructions are not reported
SAME = FLOOR / 20  # a pair that differs by less ran the same code; in others, noise can hide a change
CLEAR = FLOOR / 2  # smallest distance from the floor; two pairs may agree on less by chance
MOST_PAIRS = 6
SILENCE = 240.0
RESTARTS = 3  # after rows that die under Valgrind, each with another import of torch
EMULATED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
    "LOSSIMPL_THREADS": "1",
}

Counts = dict[Row, float]


@dataclass(frozen=True)
class Round:
    """One process per side: the folder of its dumps, the library of marks, its end, the seed of Python's hashes."""

    folder: Path
    marks: Path
    until: float
    seed: int


def unavailable() -> str | None:
    """Why instructions cannot be counted here, or None."""
    missing = [name for name in ("valgrind", "cc") if shutil.which(name) is None]
    if missing:
        return f"no {' and no '.join(missing)}"
    return None if Path("/usr/include/valgrind/callgrind.h").exists() else "no valgrind/callgrind.h"


def countable(rows: Iterable[Row]) -> list[Row]:
    """The rows whose instructions are meaningful under Valgrind."""
    return [row for row in rows if row.device == "cpu" and row.implementation != "compiled" and not row.measures_itself]


def count_sides(
    base: Side, head: Side, rows: list[Row], folder: Path, until: float = math.inf
) -> tuple[list[Counts], list[str]]:
    """Counts of base, head, base, head, ..., repeated for open rows, and notes on what could not be counted."""
    folder.mkdir()
    marks = folder / "marks.so"
    source = Path(__file__).with_name("marks.c")
    built = run(["cc", "-shared", "-fPIC", "-O1", "-o", str(marks), str(source)], folder)
    if built.returncode:
        return [], [f"no instructions were counted: {first_lines(built.stderr)}"]
    runs: list[Counts] = []
    notes: list[str] = []
    for seed in range(MOST_PAIRS):
        counts, more = _both((base, head), rows[:: (-1) ** seed], Round(folder / str(seed), marks, until, seed))
        runs, notes = runs + counts, notes + more
        rows = [row for row in rows if is_open(compared(row, runs))]
        if not rows or wall.now() > until:
            break
    return runs, notes


def _both(sides: tuple[Side, Side], rows: list[Row], which: Round) -> tuple[list[Counts], list[str]]:
    """Count both sides at the same time: contention costs time but no instructions."""
    done = side_by_side(*(partial(_count, side, rows, which) for side in sides))
    return [counts for counts, _ in done], [note for _, notes in done for note in notes]


def _count(side: Side, rows: list[Row], which: Round) -> tuple[Counts, list[str]]:
    counts: Counts = {}
    notes: list[str] = []
    waiting = list(rows)
    for attempt in range(RESTARTS):
        place = which.folder / side.name / str(attempt)
        place.mkdir(parents=True)
        answers = _run(side, waiting, place, which)
        counts |= read_dumps(place)
        if answers.failure is None:
            return counts, notes
        notes.append(f"instructions of {answers.failure.row or 'nothing'} on {side.name}: {answers.failure}")
        waiting = [row for row in waiting if row not in answers.rows() and row != answers.failure.row]
        if not waiting or answers.failure.row is None:
            break
    return counts, notes


def _run(side: Side, rows: list[Row], folder: Path, which: Round) -> Answers:
    callgrind = ["valgrind", "--tool=callgrind", "--vgdb=no", "--instr-atstart=no"]
    callgrind.append(f"--callgrind-out-file={folder / 'out'}")
    job = {
        "task": "counts",
        "suite": str(side.suite),
        "marks": str(which.marks),
        "warmup": WARMUP,
        "repeats": REPEATS,
        "rows": [[row.benchmark, row.params] for row in rows],
    }
    variables = {**side.environment, **EMULATED, "PYTHONHASHSEED": str(which.seed)}
    return ask([*callgrind, *side.python], job, variables, SILENCE, which.until)


def read_dumps(folder: Path) -> Counts:
    """Instructions per call of every row that was dumped at both repeat counts."""
    totals: dict[Row, dict[int, int]] = defaultdict(dict)
    for path in folder.glob("out.*"):
        text = path.read_text(errors="replace")
        label = re.search(r"^desc: Trigger: Client Request: (\[.*\])$", text, re.MULTILINE)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
        if label and total:
            benchmark, params, repeats = json.loads(label[1])
            totals[row_of([benchmark, params])][repeats] = int(total[1])
    few, many = REPEATS
    return {row: (one[many] - one[few]) / (many - few) for row, one in totals.items() if {few, many} <= set(one)}


def compared(row: Row, runs: list[Counts]) -> dict[str, float]:
    """The comparison of one row over runs of base, head, base, head, ...; empty if no pair counted it.

    The tolerance is the disagreement of two pairs, and smaller with more pairs.

    >>> row = Row("a.A.track_seconds", ())
    >>> found = compared(row, [{row: 1000.0}, {row: 1020.0}, {row: 1030.0}, {row: 1050.6}])
    >>> round(found["ratio"], 3), round(found["tolerance"], 3)
    (1.02, 0.01)
    """
    pairs = [
        (base[row], head[row])
        for base, head in zip(runs[::2], runs[1::2], strict=True)
        if base.get(row, 0) > 0 and head.get(row, 0) > 0
    ]
    if not pairs:
        return {}
    base, head = (statistics.geometric_mean(side) for side in zip(*pairs, strict=True))
    ratios = [math.log(head / base) for base, head in pairs]
    disagreement = max(ratios) - min(ratios)
    return {
        "base": base,
        "head": head,
        "ratio": head / base,
        "disagreement": disagreement,
        "tolerance": max(FLOOR, math.expm1(2 * disagreement / len(pairs))),
        "pairs": len(pairs),
    }


def is_open(counted: dict[str, float]) -> bool:
    """Whether another pair may decide: the only one differs, or the floor is within the disagreement of several.

    >>> is_open({"ratio": 1.0001, "pairs": 1, "disagreement": 0.0})
    False
    >>> is_open({"ratio": 1.016, "pairs": 2, "disagreement": 0.012})
    True
    """
    if not counted:
        return False
    size = abs(math.log(counted["ratio"]))
    if counted["pairs"] == 1:
        return size > SAME
    return abs(size - FLOOR) <= max(CLEAR, counted["disagreement"])


def change(counted: dict[str, float]) -> tuple[Change, ...]:
    """The change beyond the row's tolerance, if there is one."""
    if not counted or abs(math.log(counted["ratio"])) <= math.log1p(counted["tolerance"]):
        return ()
    base, head, ratio = counted["base"], counted["head"], counted["ratio"]
    text = (
        f"instructions per call: {wording.count(base)} -> {wording.count(head)} ({wording.change(ratio)}, "
        f"tolerance {wording.percent(counted['tolerance'])})"
    )
    return (Change("instructions", base, head, ratio > 1, text),)
