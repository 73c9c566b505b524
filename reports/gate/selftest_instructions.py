"""The self-test of the channel without noise: false alarms by instructions, and a planted +2 %, row by row.

Rows of the smallest shape: the kernels repeat exactly, and what does not is Python's share, which is largest there. A
plant is turns of an empty loop before the call, and base goes the same way with no turn in it, so that the turns are
all that differs. What a turn takes is counted, and the same in every row; what the row takes is counted row by row. Of
their ratio the size of a plant is known better than any comparison of two processes could tell, in which lie the noise
of the row and what the channel makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from lossimpl.measure import wall
from reports.gate import instructions
from reports.gate.processes import say
from reports.gate.rows import Row

if TYPE_CHECKING:
    from reports.gate.selftest import Bench, Plants

PLANTED = 0.02
TURNS = 1000  # of an empty loop: what one takes depends on how Python was built, and is counted first
TURNED_ROWS = 10

Counted = Mapping[Row, Mapping[str, float]]


def by_instructions(bench: Bench, rows: list[Row]) -> dict[str, Any]:
    """False alarms and planted +2 % of the channel without noise; only the reason where nothing can be counted."""
    absent = instructions.unavailable()
    if absent:
        return {"instructions": f"not counted: {absent}"}
    say("instructions of identical code, then with a planted +2 %")
    started = wall.now()
    same = bench.counted(rows, turning(dict.fromkeys(rows, 0)))
    a_turn = instructions_of_a_turn(bench, same)
    if a_turn is None:
        return {"instructions": f"not counted: Callgrind ran {len(same)} of {len(rows)} rows, and none with a plant"}
    turns = {row: math.ceil(PLANTED * one["base"] / a_turn) for row, one in same.items()}
    more = bench.counted(list(turns), turning(turns))
    table = [_found(row, count * a_turn, more.get(row, {})) for row, count in turns.items()]
    lost = ", ".join(str(row) for row in rows if row not in same) or "none"
    last = {"instruction_rows_not_counted": lost, "instruction_seconds": round(wall.now() - started)}
    return {**_alarms(same), **_detected(table), **last}


def turning(turns: Mapping[Row, int]) -> Plants:
    """The plants that make so many turns in each row."""
    return {row: ("instructions", float(count)) for row, count in turns.items()}


def instructions_of_a_turn(bench: Bench, counted: Counted) -> float | None:
    """What one turn of the loop takes: seen best in the rows that take least, where the noise is smallest too.

    None where no row could be counted.
    """
    smallest = sorted(counted, key=lambda row: counted[row]["base"])[:TURNED_ROWS]
    turned = bench.counted(smallest, turning(dict.fromkeys(smallest, TURNS))) if smallest else {}
    return median((one["head"] - one["base"]) / TURNS for one in turned.values()) if turned else None


def _alarms(same: Counted) -> dict[str, Any]:
    """What the channel says of identical code."""
    flagged = [str(row) for row, one in same.items() if instructions.change(dict(one))]
    return {
        "instruction_rows": len(same),
        "instruction_false_alarms": len(flagged),
        "instruction_false_alarm_names": ", ".join(flagged) or "none",
        "instruction_largest_difference": max(abs(one["ratio"] - 1) for one in same.values()),
    }


def _found(row: Row, added: float, counted: dict[str, float]) -> dict[str, Any]:
    """A row with its plant: how large it is, what the pairs measured how far that may err, whether it was found."""
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
    """The share that was found, the names of the others, and the whole table."""
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
