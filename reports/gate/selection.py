"""Which rows are measured when the budget does not suffice for all."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from reports.record.rows import Row

# A row of the implementation is taken in every such turn. Ours change most; a compiled row costs each process seconds
# before its first call, and a naive one seconds per call.
TURNS = {"native": 1, "vectorized": 1, "torch": 2, "compiled": 3}
OTHER_TURNS = 6
SECONDS = 20  # of the budget: for a row's check, its instruction count and about fifty pairs
OWN_PROCESSES_SECONDS = 100  # the same for a row that starts its own processes and takes seconds in every pair


def affordable(rows: Iterable[Row], budget: float) -> Iterator[Row]:
    """The first of the rows that fit the budget, and at least one.

    >>> [row.measures_itself for row in affordable([Row("loading.L.track_seconds_per_sample", ("digits",))] * 9, 250)]
    [True, True]
    """
    spent = 0.0
    for row in rows:
        cost = OWN_PROCESSES_SECONDS if row.measures_itself else SECONDS
        if spent and spent + cost > budget:
            return
        spent += cost
        yield row


def spread_out(rows: Iterable[Row]) -> list[Row]:
    """The rows in an order whose beginning covers all benchmarks and implementations, by `TURNS`.

    Within a group the first row of the suite comes first and the others follow shuffled, always in the same order, so
    that a few rows already cover several shapes, types and modes.

    >>> rows = [Row("a.A.t", ("torch", "1")), Row("a.A.t", ("native", "1")), Row("b.B.t", ("native", "1"))]
    >>> [f"{row.stem} {row.implementation}" for row in spread_out(rows)]
    ['a native', 'b native', 'a torch']
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.implementation, row.benchmark].append(row)
    placed = []
    for (implementation, benchmark), group in groups.items():
        every = TURNS.get(implementation, OTHER_TURNS)
        placed += [((turn * every, every, implementation, benchmark), row) for turn, row in enumerate(_shuffled(group))]
    return [row for _, row in sorted(placed)]


def _shuffled(rows: list[Row]) -> list[Row]:
    first, *others = rows
    random.Random(str(first)).shuffle(others)
    return [first, *others]
