"""Change points in the history of a series: on which commit its level moved, by how much, and how sure that is.

Detection walks forward and only ever looks back, so what one night reported no later night rewrites. After each new
point it takes the split of the recent past with the smallest sum of absolute deviations about two medians, and
accepts it where all of this holds:

- at least `RIGHT` points lie behind the split, and the medians differ by more than the effect threshold;
- the difference is `SURE` times the standard error of two medians, pi/2 sigma**2 (1/left + 1/right), with sigma from
  the residuals of the recent past and from those behind the split, so that a noisy stretch widens its own bar;
- nine in ten points before the split lie on the near side of the new level, and nine in ten behind on the far side.

docs/change-points.md has the comparison with ruptures and asv's step detection that led to this, and
`tests/gate/test_change_methods.py` makes it, with the simulation behind the constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 4, 5  # fewest points of the old and of the new level
FIRST = 8  # no verdict on a history shorter than this
WINDOW, DELAY = 24, 10  # points of the old level that count, and the longest a change may stay undecided
NOISE_WINDOW = 50  # the residuals of so many recent points say how noisy the series is
SURE = 6.0  # standard errors; simulated to stay under one false alarm per 1,000 series-nights
CLEAR = 0.9  # share of points that must lie on their own side
KEY = ["machine", "env", "benchmark", "params"]


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
    params: str
    commits: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def row(self) -> str:
        """The row as asv names it: `cross_entropy.CrossEntropy.track_seconds('native', '512x512', ...)`."""
        return f"{self.benchmark}({self.params})"


@dataclass(frozen=True)
class Finding:
    """A change that a night reports: `before` is the last measured commit of the old level, `commit` the first new."""

    series: Series
    commit: str
    before: str
    ratio: float
    confidence: float

    @property
    def verdict(self) -> str:
        """`slower` or `faster`."""
        return "slower" if self.ratio > 1 else "faster"


@dataclass(frozen=True)
class Event:
    """A labelled start of a new history: this machine began to measure a row's benchmark in another environment."""

    machine: str
    commit: str
    label: str


def change_points(values: Sequence[float], effect: float = 0.05) -> list[Change]:
    """Every change of level of a series of positive values, in order; changes below `effect` are left alone.

    >>> steady, slower = [1.00, 1.01, 0.99, 1.00, 1.02, 0.98, 1.00, 1.01], [1.20, 1.21, 1.19, 1.20, 1.22]
    >>> [(found.position, round(found.ratio, 2)) for found in change_points(steady + slower)]
    [(8, 1.2)]
    """
    levels: Array = np.log(np.asarray(values, dtype=float))
    found: list[Change] = []
    starts = [0]
    for end in range(FIRST, levels.size + 1):
        split = _best_split(levels, starts[-1], end)
        if split is not None and _accepted(levels, starts, split, end, effect):
            found.append(_described(levels, starts[-1], split, end))
            starts.append(split)
    return found


def _best_split(levels: Array, start: int, end: int) -> int | None:
    """The split of levels[start:end] with the smallest absolute deviations, if enough points lie behind it."""
    low = max(start, end - WINDOW - DELAY)
    splits = range(max(low + LEFT, end - DELAY), end)
    if len(splits) < RIGHT:
        return None
    costs = [_deviation(levels[low:split]) + _deviation(levels[split:end]) for split in splits]
    best = splits[int(np.argmin(costs))]
    return best if end - best >= RIGHT else None


def _deviation(values: Array) -> float:
    """The sum of absolute deviations about the median: the upper half less the lower one."""
    ordered, half = np.sort(values), values.size // 2
    return float(ordered[values.size - half :].sum() - ordered[:half].sum())


def _sides(levels: Array, start: int, split: int, end: int) -> tuple[Array, Array]:
    return levels[max(start, end - WINDOW - DELAY) : split], levels[split:end]


def _accepted(levels: Array, starts: list[int], split: int, end: int, effect: float) -> bool:
    """Whether a split passes the three conditions that the module's docstring lists."""
    left, right = _sides(levels, starts[-1], split, end)
    shift = float(np.median(right) - np.median(left))
    if abs(shift) <= math.log1p(effect):
        return False
    noise = max(_noise(levels, [*starts, split, end]), _scale(right - np.median(right)))
    error = noise * math.sqrt(math.pi / 2 * (1 / left.size + 1 / right.size))
    sign = math.copysign(1.0, shift)
    clear = np.quantile(sign * left, CLEAR) < np.median(sign * right)
    clear &= np.quantile(sign * right, 1 - CLEAR) > np.median(sign * left)
    return bool(clear and abs(shift) > SURE * error)


def _noise(levels: Array, bounds: list[int]) -> float:
    """The spread of the recent points about the medians of the segments they lie in."""
    recent = [max(bound, bounds[-1] - NOISE_WINDOW) for bound in bounds]
    parts = [levels[low:high] for low, high in pairwise(recent) if high > low]
    return _scale(np.concatenate([part - np.median(part) for part in parts]))


def _scale(residuals: Array) -> float:
    """Median absolute residual as a standard deviation (normal law); residuals of identical values give 0."""
    return float(1.4826 * np.median(np.abs(residuals)))


def _described(levels: Array, start: int, split: int, end: int) -> Change:
    left, right = _sides(levels, start, split, end)
    ratio = math.exp(float(np.median(right) - np.median(left)))
    return Change(split, ratio, 1 - min(1.0, DELAY * float(mannwhitneyu(left, right).pvalue)))


def histories(rows: pd.DataFrame, order: Sequence[str]) -> list[Series]:
    """The series of every row that `reports.asv_results` read, its commits in the order given (oldest first).

    Rows without a time (unavailable, wrong, failed) and commits outside `order` have no point in a series.
    """
    place = {commit: index for index, commit in enumerate(order)}
    measured = rows[(rows["status"] == "ok") & rows["value"].gt(0) & rows["commit"].isin(place)]
    measured = measured.assign(place=measured["commit"].map(place)).sort_values("place")
    return [_series(group) for _, group in measured.groupby(KEY, sort=True)]


def _series(rows: pd.DataFrame) -> Series:
    machine, environment, benchmark, params = rows.iloc[0][KEY]
    return Series(machine, environment, benchmark, ", ".join(params), tuple(rows["commit"]), tuple(rows["value"]))


def findings(series: Iterable[Series], effect: float = 0.05) -> list[Finding]:
    """Every change of every series, largest slowdown first."""
    found = [
        Finding(one, one.commits[change.position], one.commits[change.position - 1], change.ratio, change.confidence)
        for one in series
        for change in change_points(one.values, effect)
    ]
    return sorted(found, key=lambda finding: -finding.ratio)


def events(series: Iterable[Series], order: Sequence[str]) -> list[Event]:
    """Where a machine's history goes on in another environment: a new torch, driver or Python is no regression."""
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
