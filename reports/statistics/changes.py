"""Change points in the history of a series: on which commit its level moved, by how much, and how sure that is.

Detection walks forward and only looks back, so no later night rewrites what one night reported. After each new point it
takes the split of the recent past with the smallest sum of absolute deviations from two medians, and accepts it if:

- at least `RIGHT` points follow the split, and the medians differ by more than the effect threshold;
- two levels explain the n points better than one by more than `EVIDENCE` in log likelihood under a Laplace
  distribution of estimated spread: n log(S1 / S2), where S1 and S2 are the sums of absolute deviations from one median
  and from two.

Sums rather than medians of the deviations, since noise on a shared machine comes in bursts: a row that takes 1.5 times
as long in one night of four has a small median deviation, and five such nights in a row would look like a step.

docs/change-points.md compares this with ruptures and asv's step detection; `tests/gate/test_change_methods.py` runs
that comparison and the simulation behind the constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu

from reports.record.rows import name_of
from reports.statistics.sessions import SERIES, points, timed

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 5, 5  # fewest points of the old and of the new level
WINDOW, DELAY = 24, 20  # most points of the old level that are used, and of the new one
EVIDENCE = 16.0  # nats: less than one false alarm per 1,000 nights of every simulated and of the recorded series
EFFECT = 0.05  # smaller changes of level are not reported


@dataclass(frozen=True)
class Change:
    """A new level from the point at `position` on: `ratio` new/old.

    `confidence` is 1 - p of the rank-sum test of the two levels, p times the number of splits that were searched.
    """

    position: int
    ratio: float
    confidence: float


@dataclass(frozen=True)
class Series:
    """The history of one benchmark row on one machine in one environment, oldest commit first; values in seconds."""

    machine: str
    environment: str
    benchmark: str
    params: tuple[str, ...]  # as asv writes them
    commits: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def row(self) -> str:
        """The row as asv names it: `cross_entropy.CrossEntropy.track_seconds('native', '512x512', ...)`."""
        return name_of(self.benchmark, self.params)


@dataclass(frozen=True)
class Finding:
    """A change that a night reports: `before` is the last measured commit of the old level, `commit` the first new.

    `again` says in words what measuring both commits again showed (`reports.nightly.settle`); the finding `stands`
    unless that refuted it.
    """

    series: Series
    commit: str
    before: str
    ratio: float
    confidence: float
    again: str = ""
    stands: bool = True

    @property
    def verdict(self) -> str:
        """`slower` or `faster`: what the history says."""
        return "slower" if self.ratio > 1 else "faster"


@dataclass(frozen=True)
class Event:
    """The first commit that a machine measured in another environment, which starts a new history."""

    machine: str
    commit: str
    label: str


def change_points(values: Sequence[float], effect: float = EFFECT) -> list[Change]:
    """Every change of level of a series of positive values, in order; those below `effect` are ignored.

    >>> steady, slower = [1.00, 1.01, 0.99, 1.00, 1.02, 0.98, 1.00, 1.01], [1.20, 1.21, 1.19, 1.20, 1.22]
    >>> [(found.position, round(found.ratio, 2)) for found in change_points(steady + slower)]
    [(8, 1.2)]
    """
    levels: Array = np.log(np.asarray(values, dtype=float))
    found: list[Change] = []
    start = 0
    for end in range(LEFT + RIGHT, levels.size + 1):
        low = max(start, end - WINDOW - DELAY)
        split = _best_split(levels, low, end)
        if split is not None and _accepted(levels[low:split], levels[split:end], effect):
            found.append(described(levels[low:split], levels[split:end], split))
            start = split
    return found


def _best_split(levels: Array, low: int, end: int) -> int | None:
    """The split of levels[low:end] with the smallest absolute deviations, if enough points follow it."""
    splits = range(max(low + LEFT, end - DELAY), end)
    if len(splits) < RIGHT:
        return None
    costs = [_deviation(levels[low:split]) + _deviation(levels[split:end]) for split in splits]
    best = splits[int(np.argmin(costs))]
    return best if end - best >= RIGHT else None


def _deviation(values: Array) -> float:
    """The sum of absolute deviations from the median: the sum of the upper half less that of the lower."""
    ordered, half = np.sort(values), values.size // 2
    return float(ordered[values.size - half :].sum() - ordered[:half].sum())


def _shift(left: Array, right: Array) -> float:
    return float(np.median(right) - np.median(left))


def _accepted(left: Array, right: Array, effect: float) -> bool:
    """Whether a split meets the conditions in the module's docstring."""
    both = np.concatenate([left, right])
    one, two = _deviation(both), _deviation(left) + _deviation(right)
    return abs(_shift(left, right)) > math.log1p(effect) and one > two * math.exp(EVIDENCE / both.size)


def described(left: Array, right: Array, split: int) -> Change:
    """The change from the levels `left` to the levels `right`, which begin at the point `split`."""
    p_value = float(mannwhitneyu(left, right).pvalue)
    return Change(split, math.exp(_shift(left, right)), 1 - min(1.0, DELAY * p_value))


def histories(rows: pd.DataFrame, order: Sequence[str]) -> list[Series]:
    """The series of every row of the record, its commits in the given order (oldest first).

    Rows without a time of their own (disturbed, unavailable, wrong, failed) and commits outside `order` are left out.
    """
    place = {commit: index for index, commit in enumerate(order)}
    measured = points(rows[timed(rows) & rows["commit"].isin(place)])
    measured = measured.assign(place=measured["commit"].map(place)).sort_values("place")
    found: dict[tuple[Any, ...], list[tuple[str, float]]] = {}
    for *series, commit, value in measured[[*SERIES, "commit", "value"]].itertuples(index=False):
        found.setdefault(tuple(series), []).append((commit, value))
    return [Series(*key, *zip(*found[key], strict=True)) for key in sorted(found)]


def findings(series: Iterable[Series], effect: float = EFFECT) -> list[Finding]:
    """Every change of every series, largest slowdown first."""
    found = [
        Finding(one, one.commits[change.position], one.commits[change.position - 1], change.ratio, change.confidence)
        for one in series
        for change in change_points(one.values, effect)
    ]
    return sorted(found, key=lambda finding: -finding.ratio)


def events(series: Iterable[Series], order: Sequence[str]) -> list[Event]:
    """Where a machine continues in another environment: a new torch, driver or Python is not a regression."""
    place = {commit: index for index, commit in enumerate(order)}
    first: dict[tuple[str, str], str] = {}
    for one in series:
        key, commit = (one.machine, one.environment), one.commits[0]
        first[key] = min(first.get(key, commit), commit, key=place.__getitem__)
    started = sorted(first.items(), key=lambda item: (item[0][0], place[item[1]]))
    return [
        Event(machine, commit, f"{before} -> {environment}")
        for ((other, before), _), ((machine, environment), commit) in pairwise(started)
        if other == machine
    ]
