"""The self-test by instruction counts: false alarms, and a planted +2 %, row by row.

It uses rows of the smallest shape: the kernels repeat exactly, and what does not is Python's share, which is largest
there. A plant is a number of iterations of an empty loop before the call; base runs the same code without any, so
that they are the only difference. The instructions per iteration, the same in every row, and those of each row are
counted separately; their ratio gives the size of a plant without the noise of the row and of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from lossimpl.measure import wall
from reports.gate import instructions
from reports.gate.bench import Bench, Plants
from reports.gate.processes import say
from reports.record.rows import Row

PLANTED = 0.02
ITERATIONS = 1000  # of an empty loop, to count the instructions per iteration, which depend on the build of Python
LOOP_ROWS = 10

Counted = Mapping[Row, Mapping[str, float]]


def by_instructions(bench: Bench, rows: list[Row]) -> dict[str, Any]:
    """False alarms and planted +2 % by instruction counts; only the reason if nothing can be counted."""
    absent = instructions.unavailable()
    if absent:
        return {"instructions": f"not counted: {absent}"}
    say("instructions of identical code, then with a planted +2 %")
    started = wall.now()
    same = bench.counted(rows, loops(dict.fromkeys(rows, 0)))
    per_iteration = instructions_per_iteration(bench, same)
    if per_iteration is None:
        return {"instructions": f"not counted: Callgrind ran {len(same)} of {len(rows)} rows, and none with a plant"}
    iterations = {row: math.ceil(PLANTED * one["base"] / per_iteration) for row, one in same.items()}
    more = bench.counted(list(iterations), loops(iterations))
    table = [_found(row, count * per_iteration, more.get(row, {})) for row, count in iterations.items()]
    lost = ", ".join(str(row) for row in rows if row not in same) or "none"
    last = {"instruction_rows_not_counted": lost, "instruction_seconds": round(wall.now() - started)}
    return {**_alarms(same), **_detected(table), **last}


def loops(iterations: Mapping[Row, int]) -> Plants:
    """Plants with that many iterations in each row."""
    return {row: ("instructions", float(count)) for row, count in iterations.items()}


def instructions_per_iteration(bench: Bench, counted: Counted) -> float | None:
    """The instructions of one iteration, from the rows with the fewest instructions, which have the least noise.

    None if no row could be counted.
    """
    smallest = sorted(counted, key=lambda row: counted[row]["base"])[:LOOP_ROWS]
    looped = bench.counted(smallest, loops(dict.fromkeys(smallest, ITERATIONS))) if smallest else {}
    return median((one["head"] - one["base"]) / ITERATIONS for one in looped.values()) if looped else None


def _alarms(same: Counted) -> dict[str, Any]:
    """The false alarms on identical code."""
    flagged = [str(row) for row, one in same.items() if instructions.change(dict(one))]
    return {
        "instruction_rows": len(same),
        "instruction_false_alarms": len(flagged),
        "instruction_false_alarm_names": ", ".join(flagged) or "none",
        "instruction_largest_difference": max(abs(one["ratio"] - 1) for one in same.values()),
    }


def _found(row: Row, added: float, counted: dict[str, float]) -> dict[str, Any]:
    """A row with its plant: its size, the measured change, its tolerance, and whether it was found."""
    if not counted:
        return {"row": str(row), "found": "not counted"}
    return {
        "row": str(row),
        "planted": round(added / counted["base"], 5),
        "measured": round(counted["ratio"] - 1, 5),
        "tolerance": round(counted["tolerance"], 5),
        "pairs": counted["pairs"],
        "found": "yes" if any(one.worse for one in instructions.change(counted)) else "no",
    }


def _detected(table: list[dict[str, Any]]) -> dict[str, Any]:
    """How many plants were found, the names of the others, and the whole table."""
    missed = [one["row"] for one in table if one["found"] != "yes"]
    known = [one for one in table if "planted" in one]
    return {
        "instruction_planted": _between(one["planted"] for one in known),
        "instruction_planted_measured": _between(one["measured"] for one in known),
        "instruction_planted_found": f"{len(table) - len(missed)} of {len(table)}",
        "instruction_planted_missed": ", ".join(missed) or "none",
        "instruction_largest_tolerance": max((one["tolerance"] for one in known), default=None),
        "instruction_plants": table,
    }


def _between(shares: Iterable[float]) -> str:
    """The smallest and the largest of some shares."""
    ordered = sorted(shares)
    return f"{ordered[0]:+.2%} to {ordered[-1]:+.2%}" if ordered else "none"
