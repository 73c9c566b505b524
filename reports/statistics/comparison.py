"""`native` against torch and torch.compile: case by case, and as geometric means. Pure: frames in, values out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import geometric_mean, median

import pandas as pd

from lossimpl import wording
from lossimpl.ranking import tied
from lossimpl.spec import TORCH_COMPILED
from reports.statistics.ranking import CASE, interval_of, rankable

ALTERNATIVES = ("torch", "compiled", TORCH_COMPILED)


@dataclass(frozen=True)
class Comparison:
    """One case: the row of `native`, and the rows of its alternatives that were measured."""

    native: pd.Series
    alternatives: dict[str, pd.Series]

    def ratio(self, alternative: str) -> float | None:
        """How many times as long the alternative takes as native, or None where it was not measured."""
        row = self.alternatives.get(alternative)
        return None if row is None else float(row["value"] / self.native["value"])

    @property
    def slower(self) -> bool:
        """Whether native is significantly slower than any alternative."""
        native = interval_of(self.native)
        others = map(interval_of, self.alternatives.values())
        return any(one.value < native.value and not tied(one, native) for one in others)

    @property
    def label(self) -> str:
        """The case in words."""
        one = self.native
        return f"{one['loss']} {one['shape']} {one['dtype']} {one['mode']}"


@dataclass(frozen=True)
class Means:
    """The largest case of every loss in one dtype and mode.

    `ratios` has the geometric mean of each alternative's time over native's, with the number of losses; `shares` are
    native's shares of the ceiling in ascending order, and `least` names the loss with the smallest.
    """

    dtype: str
    mode: str
    ratios: dict[str, tuple[float, int]]
    shares: tuple[float, ...]
    least: str

    @property
    def median_share(self) -> float | None:
        """The median share of the ceiling, None where none is known."""
        return median(self.shares) if self.shares else None

    def words(self, alternative: str) -> str:
        """`8.10× (9 losses)`: how many times as long the alternative takes; a dash where it was not measured."""
        if alternative not in self.ratios:
            return wording.NOTHING
        mean, losses = self.ratios[alternative]
        return f"{wording.times(mean)} ({losses} losses)"


def comparisons(rows: pd.DataFrame) -> list[Comparison]:
    """Every case in which `native` was measured, in the order of the rows."""
    found = []
    for _, case in rows.groupby(CASE, sort=False):
        by_name = {str(row["implementation"]): row for _, row in case[rankable(case)].iterrows()}
        if "native" in by_name:
            others = {name: by_name[name] for name in ALTERNATIVES if name in by_name}
            found.append(Comparison(by_name["native"], others))
    return found


def slower_words(cases: list[Comparison]) -> str:
    """In how many cases native is slower, as a sentence without its full stop."""
    slower, compared = sum(one.slower for one in cases), sum(bool(one.alternatives) for one in cases)
    return f"Native is significantly slower than the fastest alternative in {slower} of {compared} cases that have one"


def largest(cases: list[Comparison]) -> list[Comparison]:
    """The cases with as many elements as the largest of their loss; a smaller one never stands in for it."""
    most: dict[str, float] = {}
    for one in cases:
        loss = str(one.native["loss"])
        most[loss] = max(most.get(loss, 0.0), float(one.native["elements"]))
    return [one for one in cases if float(one.native["elements"]) == most[str(one.native["loss"])]]


def means(cases: list[Comparison]) -> Iterator[Means]:
    """One entry per dtype and mode, over the largest cases; only those are limited by memory."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in largest(cases):
        groups.setdefault((str(one.native["dtype"]), str(one.native["mode"])), []).append(one)
    for (dtype, mode), group in sorted(groups.items(), key=lambda item: (item[0][0] != "float32", item[0])):
        known = [one.native for one in group if wording.known(one.native["share"])]
        worst = min(known, key=lambda row: float(row["share"]), default=None)
        shares = tuple(sorted(float(row["share"]) for row in known))
        yield Means(dtype, mode, dict(_ratios(group)), shares, str(worst["loss"]) if worst is not None else "")


def _ratios(group: list[Comparison]) -> Iterator[tuple[str, tuple[float, int]]]:
    for name in ALTERNATIVES:
        ratios = [ratio for one in group if (ratio := one.ratio(name)) is not None]
        if ratios:
            yield name, (geometric_mean(ratios), len(ratios))
