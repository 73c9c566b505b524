"""Log ratios of process pairs, their Hodges-Lehmann estimate, and the exact signed-rank test with its interval.

Sources: Wilcoxon (1945) for the test; Hodges and Lehmann (1963) for the estimate and the interval that inverts the
test; Schuirmann (1987) for equivalence by two one-sided tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from lossimpl.ranking import CONFIDENCE

Array = npt.NDArray[np.float64]
MOST_LOG = math.log(np.finfo(float).max)
Numbers = Sequence[float] | Array
Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True)
class Estimate:
    """The ratio head/base of one row with its interval; 1.10 means that head takes 10 % longer.

    `low` is 0 and `high` infinite where there are too few pairs for an interval.
    """

    ratio: float
    low: float
    high: float
    p_value: float
    pairs: int


def log_ratios(base: Numbers, head: Numbers) -> Array:
    """log(head / base) of each process pair, one value of each side per pair.

    >>> log_ratios([1.0, 2.0], [2.0, 2.0]).round(3).tolist()
    [0.693, 0.0]
    """
    first, second = np.asarray(base, dtype=float), np.asarray(head, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"base and head must be two lists of equal length, not of shapes {first.shape}, {second.shape}"
        )
    if not (np.all(first > 0) and np.all(second > 0) and np.all(np.isfinite(first) & np.isfinite(second))):
        raise ValueError("base and head must be positive and finite: a ratio of times has no other meaning")
    ratios: Array = np.log(second / first)
    return ratios


def estimate(ratios: Numbers) -> Estimate:
    """The Hodges-Lehmann ratio of a row's pairs, its exact interval, and the two-sided p-value of "the same time".

    The interval holds every ratio that the signed-rank test does not reject at 1 - CONFIDENCE.

    >>> result = estimate([0.10, 0.12, 0.09, 0.11] * 6)
    >>> round(result.ratio, 3), result.low > 1.08, result.p_value < 0.001
    (1.111, True, True)
    """
    values = np.asarray(ratios, dtype=float)
    if values.size == 0:
        return Estimate(math.nan, 0.0, math.inf, 1.0, 0)
    averages = _walsh_averages(values)
    low, high = _interval(averages, values.size)
    return Estimate(_ratio(float(np.median(averages))), low, high, signed_rank_p(values), values.size)


def equivalence_p(ratios: Numbers, effect: float) -> float:
    """The p-value of "the change is at least as large as `effect`"; if small, the revisions are equivalent.

    Two one-sided tests against the ratios 1 / (1 + effect) and 1 + effect; the larger p-value of the two.

    >>> equivalence_p([0.001, -0.002, 0.0, 0.001] * 5, 0.05) < 0.01
    True
    """
    values, margin = np.asarray(ratios, dtype=float), math.log1p(effect)
    return max(signed_rank_p(values + margin, "greater"), signed_rank_p(values - margin, "less"))


def signed_rank_p(values: Numbers, alternative: Alternative = "two-sided") -> float:
    """The exact p-value of the signed-rank test of symmetry about zero, ties and zeros included.

    Zeros are ranked, then left out (Pratt, 1959), so that a row of exact zeros has p = 1; ties share their mean rank.

    >>> signed_rank_p([1.0, 2.0, 3.0, 4.0, 5.0])  # 2 / 2**5: all five signs equal
    0.0625
    """
    kept = np.asarray(values, dtype=float)
    magnitudes, signs = np.abs(kept), np.sign(kept)
    doubled = np.rint(2 * rankdata(magnitudes)).astype(int)[signs != 0]
    null = _null_of(tuple(sorted(doubled.tolist())))
    positive = int(doubled[signs[signs != 0] > 0].sum())
    greater, less = float(null[positive:].sum()), float(null[: positive + 1].sum())
    if alternative == "greater":
        return min(1.0, greater)
    return min(1.0, less) if alternative == "less" else min(1.0, 2 * min(greater, less))


@lru_cache(maxsize=512)
def _null_of(weights: tuple[int, ...]) -> Array:
    """The distribution of the sum of weights that fair coins pick: that of W on identical code."""
    law = np.zeros(sum(weights) + 1)
    law[0] = 1.0
    for weight in weights:
        picked = np.roll(law, weight)
        law = (law + picked) / 2  # nothing wraps: the tail that rolls over is still zero
    return law


def _walsh_averages(values: Array) -> Array:
    """(v_i + v_j) / 2 for all i <= j, sorted: their median is the Hodges-Lehmann estimate."""
    first, second = np.triu_indices(values.size)
    return np.sort((values[first] + values[second]) / 2)


def _interval(averages: Array, pairs: int) -> tuple[float, float]:
    """The ratios between the k-th smallest and largest Walsh average; k is the largest with P(W < k) <= 2.5 %."""
    tail = np.cumsum(_null_of(tuple(range(1, pairs + 1))))
    below = int(np.searchsorted(tail, (1 - CONFIDENCE) / 2, side="right"))
    if below == 0:
        return 0.0, math.inf
    return _ratio(averages[below - 1]), _ratio(averages[-below])


def _ratio(log: float) -> float:
    """exp(log), or infinity where that exceeds any float: a process that was suspended can be an interval's end."""
    return math.exp(log) if log < MOST_LOG else math.inf
