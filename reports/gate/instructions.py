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
from typing import Any

from lossimpl import wording
from lossimpl.building import first_lines, run
from lossimpl.measure import wall
from reports.gate.outcome import Change
from reports.gate.processes import Answers, ask, row_of, side_by_side
from reports.gate.representatives import regime_of
from reports.gate.sides import Side
from reports.record.rows import Row

WARMUP = 12  # calls; CPython specialises a function's code at its eighth
REPEATS = (1, 16)
FLOOR = 0.01  # smaller changes of the instructions are not reported
SAME = FLOOR / 20  # a pair that differs by less ran the same code; in others, noise can hide a change
CLEAR = FLOOR / 2  # smallest distance from the floor; two pairs may agree on less by chance
MOST_PAIRS = 6
LARGEST = 3  # changes of functions in an explanation
SILENCE = 240.0
RESTARTS = 3  # after rows that die under Valgrind, each with another import of torch
EMULATED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
    "LOSSIMPL_THREADS": "1",
}

HEADER = 2000  # characters of a dump, among which is its label
LABEL = re.compile(r"^desc: Trigger: Client Request: (\[.*\])$", re.MULTILINE)

Counts = dict[Row, float]
Functions = dict[str, float]  # instructions per call, by the name of the function


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
    """The rows whose instructions are meaningful under Valgrind, and few enough to count."""
    return [
        row
        for row in rows
        if row.device == "cpu"
        and "compiled" not in row.implementation
        and not row.measures_itself
        and regime_of(row) != "memory"
    ]


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
        label = LABEL.search(text)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
        if label and total:
            benchmark, params, repeats = json.loads(label[1])
            totals[row_of([benchmark, params])][repeats] = int(total[1])
    few, many = REPEATS
    return {row: (one[many] - one[few]) / (many - few) for row, one in totals.items() if {few, many} <= set(one)}


def functions(folder: Path, row: Row) -> Functions:
    """The instructions that each function itself takes per call of a row, from the dumps below `folder`."""
    found: dict[int, Functions] = {}
    for path in folder.rglob("out.*"):
        with path.open(errors="replace") as file:
            header = file.read(HEADER)
            label = LABEL.search(header)
            if label and row_of(json.loads(label[1])[:2]) == row:
                found[json.loads(label[1])[2]] = own_costs(header + file.read())
    few, many = (found.get(repeats, {}) for repeats in REPEATS)
    return {name: (many[name] - few.get(name, 0.0)) / (REPEATS[1] - REPEATS[0]) for name in many}


def own_costs(text: str) -> Functions:
    """The cost of each function in a dump, without that of what it calls.

    >>> own_costs("fn=(1) f\\n1 10\\ncfn=(2) g\\ncalls=1 0\\n1 500\\nfn=(2)\\n+2 5\\nfn=(1)\\n* 1\\n")
    {'f': 11.0, 'g': 5.0}
    """
    names: dict[str, str] = {}
    costs: Functions = defaultdict(float)
    name, inclusive = "", False
    for line in text.splitlines():
        if found := re.match(r"(c?)fn=(\(\d+\))(?: (.*))?", line):
            names[found[2]] = found[3] or names.get(found[2], "")  # a name is given where it first occurs
            name = name if found[1] else names[found[2]]
        elif line.startswith("calls="):
            inclusive = True  # the next line has the cost of the called function
        elif name and re.match(r"[+\-*\d]", line):
            costs[name] += 0 if inclusive else float(line.split()[-1]) if " " in line else 0
            inclusive = False
    return dict(costs)


def moved(base: Path, head: Path, row: Row) -> list[dict[str, Any]]:
    """The functions whose instructions changed most between the dumps of both sides."""
    before, after = functions(base, row), functions(head, row)
    changes = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in {**before, **after}}
    largest = sorted(changes, key=lambda name: -abs(changes[name]))[:LARGEST]
    return [
        {"function": name, "base": before.get(name, 0.0), "head": after.get(name, 0.0)}
        for name in largest
        if abs(changes[name]) >= 1
    ]


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


def settles(counted: dict[str, float]) -> bool:
    """Whether the counts alone decide that a row takes the same number of instructions, within the floor.

    >>> settles({"ratio": 1.001, "pairs": 2, "disagreement": 0.002, "tolerance": 0.01}), settles({})
    (True, False)
    """
    return bool(counted) and not is_open(counted) and not change(counted)


def identical(counted: dict[str, float]) -> bool:
    """Whether both sides take so nearly the same number of instructions that they ran the same code."""
    return bool(counted) and abs(math.log(counted["ratio"])) <= SAME


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
