"""Groups of rows that execute the same code, and the row that is measured for each.

Rows of a loss are grouped by implementation, device, type class, size regime and by whether they run backward:

overhead  so few elements that one thread computes them: the cost is Python's and the dispatcher's, whatever the type
cache     more, but they stay in the caches
memory    a million elements or more, which stream from memory

`naive` goes sample by sample whatever the size, so it has no regimes. Rows of a loader are grouped by dataset and by
whether there are workers. Every other parameter (another shape of the regime, `reuse` for `step`, float64 for float32)
is covered by the group's representative; the rest of a group is measured when its representative has changed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from reports.record.rows import LOADING, LOSS_PARAMETERS, Row

PARALLEL = 32_768  # elements from which torch and our kernels use several threads
STREAMING = 1 << 20  # elements that no longer fit the caches
HALF = ("float16", "bfloat16")
PREFERRED = ("float32", "bfloat16", "step", "forward", 2, 0, False, 64)  # a representative has as many as possible

TYPICAL = {"float32", "step"}


@dataclass(frozen=True)
class Group:
    """Rows that execute the same code; the first of `rows` represents them."""

    name: str
    rows: tuple[Row, ...]

    @property
    def representative(self) -> Row:
        """The row that is measured for the group."""
        return self.rows[0]


def grouped(rows: Iterable[Row]) -> list[Group]:
    """The groups of some rows, in the order in which they first occur.

    >>> shapes = [("native", shape, "float32", "cpu", "step") for shape in ("32x10", "128x1000", "256x1000")]
    >>> for group in grouped(Row("mse_loss.MseLoss.track_seconds", params) for params in shapes):
    ...     print(group.name, len(group.rows))
    mse_loss native cpu, overhead, step 1
    mse_loss native cpu, cache, float, step 2
    """
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[group_of(row)].append(row)
    return [Group(name, tuple(sorted(members, key=_preference))) for name, members in found.items()]


def is_typical(row: Row) -> bool:
    """Whether a row is a training step in float32, or no row of a loss."""
    return len(row.params) != len(LOSS_PARAMETERS) or {*row.params} >= TYPICAL


def spread(groups: Iterable[Group]) -> list[Group]:
    """The groups in turns from each benchmark, so that what is measured until the time is up is of all of them."""
    places: Counter[str] = Counter()
    ranked = []
    for group in groups:
        ranked.append((places[group.representative.benchmark], group))
        places[group.representative.benchmark] += 1
    return [group for _, group in sorted(ranked, key=lambda one: one[0])]


def group_of(row: Row) -> str:
    """The name of a row's group; rows with other parameters than ours are grouped by their first one."""
    if row.benchmark == LOADING and len(row.params) > 1:
        return f"loading {row.params[0]}, {'workers' if row.params[1] else 'no workers'}"
    if len(row.params) != len(LOSS_PARAMETERS):
        return " ".join(map(str, (row.stem, *row.params)))
    implementation, _, dtype, device, mode = row.params
    kind = "half" if dtype in HALF else "float"
    regime = regime_of(row)
    parts = [] if regime == "any size" else [regime]
    parts += [] if regime in ("overhead", "any size") else [kind]
    return ", ".join([f"{row.stem} {implementation} {device}", *parts, "step" if mode == "reuse" else mode])


def regime_of(row: Row) -> str:
    """The size regime of a row."""
    if row.implementation == "naive" or len(row.params) != len(LOSS_PARAMETERS):
        return "any size"
    elements = _elements(row)
    return "overhead" if elements < PARALLEL else "cache" if elements < STREAMING else "memory"


def _elements(row: Row) -> int:
    return math.prod(map(int, str(row.params[1]).split("x")))


def _preference(row: Row) -> tuple[int, int]:
    """The preferred parameters first, then the smallest shape, which takes the least time."""
    shape = _elements(row) if len(row.params) == len(LOSS_PARAMETERS) else 0
    return -sum(one in PREFERRED for one in row.params), shape
