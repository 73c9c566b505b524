"""What a row is called, and which rows of a large suite are measured where the budget cannot hold all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest


@dataclass(frozen=True, order=True)
class Row:
    """One benchmark with one combination of parameters; `str(row)` is asv's name of it.

    >>> str(Row("mse_loss.MseLoss.track_seconds", ("native", "32x10")))
    "mse_loss.MseLoss.track_seconds('native', '32x10')"
    """

    benchmark: str
    params: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.benchmark}({', '.join(map(repr, self.params))})"

    @property
    def stem(self) -> str:
        """The benchmark file without its ending: for losses the name of the loss."""
        return self.benchmark.split(".")[0]

    @property
    def implementation(self) -> str:
        """The first parameter, which names what is measured."""
        return self.params[0] if self.params else ""

    @property
    def device(self) -> str:
        """`cuda` if one of the parameters says so, else `cpu`."""
        return "cuda" if "cuda" in self.params else "cpu"


def spread_out(rows: Iterable[Row], most: int) -> list[Row]:
    """At most `most` rows, taken in turn from every benchmark and implementation, in the suite's order within each.

    >>> rows = [Row("a.A.t", ("x", "1")), Row("a.A.t", ("x", "2")), Row("b.B.t", ("y", "1"))]
    >>> [row.benchmark for row in spread_out(rows, 2)]
    ['a.A.t', 'b.B.t']
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.benchmark, row.implementation].append(row)
    turns = chain.from_iterable(zip_longest(*groups.values()))
    return [row for row in turns if row is not None][:most]
