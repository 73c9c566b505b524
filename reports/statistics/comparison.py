"""`native` against torch and torch.compile, case by case, and what that comes to. Pure: frames in, values out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import geometric_mean, median

import pandas as pd

from lossimpl import wording
from lossimpl.spec import TORCH_COMPILED
from reports.statistics.ranking import CASE, rankable

RIVALS = ("torch", "compiled", TORCH_COMPILED)


@dataclass(frozen=True)
class Contest:
    """One case: the row of `native`, and the rows of its rivals that were measured."""

    native: pd.Series
    rivals: dict[str, pd.Series]

    def ratio(self, rival: str) -> float | None:
        """How many times as long the rival takes, or None where it was not measured."""
        return float(self.rivals[rival]["value"] / self.native["value"]) if rival in self.rivals else None

    @property
    def slower(self) -> bool:
        """Whether a rival is faster, and the intervals do not overlap."""
        return any(row["high"] < self.native["low"] for row in self.rivals.values())

    @property
    def label(self) -> str:
        """The case in words."""
        one = self.native
        return f"{one['loss']} {one['shape']} {one['dtype']} {one['mode']}"


@dataclass(frozen=True)
class Score:
    """The largest case of every loss in one dtype and mode together: geometric means, and the least share."""

    dtype: str
    mode: str
    over: dict[str, tuple[float, int]]  # by rival: geometric mean of the ratios, and of how many losses
    shares: tuple[float, ...]
    least: str  # the loss with the least share of the ceiling

    @property
    def middle(self) -> float | None:
        """The median share of the ceiling, None where none is known."""
        return median(self.shares) if self.shares else None

    def gain(self, rival: str) -> str:
        """`8.1x (9 losses)`: how many times as long the rival takes; a dash where it was not measured."""
        return "{:.1f}x ({} losses)".format(*self.over[rival]) if rival in self.over else "-"


def contests(rows: pd.DataFrame) -> list[Contest]:
    """Every case in which `native` was measured, in the order of the rows."""
    found = []
    for _, case in rows.groupby(CASE, sort=False):
        by_name = {str(row["implementation"]): row for _, row in case[rankable(case)].iterrows()}
        if "native" in by_name:
            found.append(Contest(by_name["native"], {name: by_name[name] for name in RIVALS if name in by_name}))
    return found


def slower_words(cases: list[Contest]) -> str:
    """How many cases native loses, as a sentence without its end."""
    count = sum(one.slower for one in cases)
    return f"Native is slower than the best of them, beyond the intervals, in {count} of {len(cases)} cases"


def largest(cases: list[Contest]) -> list[Contest]:
    """The cases with as many elements as the largest of their loss; a smaller one never stands in for it."""
    most: dict[str, float] = {}
    for one in cases:
        loss = str(one.native["loss"])
        most[loss] = max(most.get(loss, 0.0), float(one.native["elements"]))
    return [one for one in cases if float(one.native["elements"]) == most[str(one.native["loss"])]]


def scores(cases: list[Contest]) -> Iterator[Score]:
    """One score for each dtype and mode, of the largest cases; only those are limited by memory."""
    groups: dict[tuple[str, str], list[Contest]] = {}
    for one in largest(cases):
        groups.setdefault((str(one.native["dtype"]), str(one.native["mode"])), []).append(one)
    for (dtype, mode), group in sorted(groups.items(), key=lambda item: (item[0][0] != "float32", item[0])):
        known = [one for one in group if wording.known(one.native["share"])]
        worst = min(known, key=lambda one: float(one.native["share"]), default=None)
        shares = tuple(sorted(float(one.native["share"]) for one in known))
        yield Score(dtype, mode, dict(means(group)), shares, str(worst.native["loss"]) if worst else "")


def means(group: list[Contest]) -> Iterator[tuple[str, tuple[float, int]]]:
    """By rival: the geometric mean of its times over native's, and over how many cases."""
    for rival in RIVALS:
        ratios = [ratio for one in group if (ratio := one.ratio(rival)) is not None]
        if ratios:
            yield rival, (geometric_mean(ratios), len(ratios))
