"""What a row is called, and which rows of a large suite are measured where the budget cannot hold all."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# A row of the implementation comes at every so-manieth turn. Ours change most; a compiled row costs each process
# seconds before its first call, and a naive one seconds a call.
TURNS = {"native": 1, "vectorized": 1, "torch": 2, "compiled": 3}
SELDOM = 6
SECONDS = 20  # of the budget: what a row costs in its check, its count and some fifty pairs
OWN_PROCESSES_SECONDS = 100  # what one costs that starts processes itself, and takes seconds in every pair


@dataclass(frozen=True, order=True)
class Row:
    """One benchmark with one combination of parameters; `str(row)` is asv's name of it.

    >>> str(Row("mse_loss.MseLoss.track_seconds", ("native", "32x10")))
    "mse_loss.MseLoss.track_seconds('native', '32x10')"
    """

    benchmark: str
    params: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.benchmark}({', '.join(map(repr, self.params))})"

    @property
    def stem(self) -> str:
        """The benchmark file without its ending: for losses the name of the loss."""
        return self.benchmark.split(".")[0]

    @property
    def implementation(self) -> str:
        """The first parameter, which names what is measured."""
        return str(self.params[0]) if self.params else ""

    @property
    def device(self) -> str:
        """`cuda` if one of the parameters says so, else `cpu`."""
        return "cuda" if "cuda" in self.params else "cpu"

    @property
    def measures_itself(self) -> bool:
        """Whether the row is more than a call: one of a loader, which starts processes and says what they took."""
        return not self.benchmark.endswith(".track_seconds")


def affordable(rows: Iterable[Row], budget: float) -> Iterator[Row]:
    """The first of the rows, as far as the budget goes, and one in any case.

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


def spread_out(rows: Iterable[Row], most: int) -> list[Row]:
    """At most `most` rows: in turn from every benchmark and implementation, oftener where that tells more (`TURNS`).

    Within a group the suite's first row leads, and the others follow in an order that is mixed but always the same, so
    that a few rows already show several shapes, types and modes.

    >>> rows = [Row("a.A.t", ("torch", "1")), Row("a.A.t", ("native", "1")), Row("b.B.t", ("native", "1"))]
    >>> [f"{row.stem} {row.implementation}" for row in spread_out(rows, 2)]
    ['a native', 'b native']
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.implementation, row.benchmark].append(row)
    placed = [
        ((turn * TURNS.get(implementation, SELDOM), TURNS.get(implementation, SELDOM), implementation, benchmark), row)
        for (implementation, benchmark), group in groups.items()
        for turn, row in enumerate(_mixed(group))
    ]
    return [row for _, row in sorted(placed)][:most]


def _mixed(rows: list[Row]) -> list[Row]:
    first, *others = rows
    random.Random(str(first)).shuffle(others)
    return [first, *others]
