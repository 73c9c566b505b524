"""The noise of a row: how large, with one mode or two, steady or drifting."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau, median_abs_deviation

from reports.statistics.paired import Numbers

# Share of the variance that the best split into two groups explains: 2 / pi = 0.64 for a normal distribution, 0.75 for
# a uniform one. Above both, with a margin for the sampling error of a dozen values.
TWO_MODES = 0.92


def spread(values: Numbers) -> float:
    """A robust standard deviation: the median absolute deviation, scaled for a normal distribution.

    >>> round(spread([1.0, 2.0, 3.0, 4.0, 500.0]), 3)
    1.483
    """
    return float(median_abs_deviation(values, scale="normal"))


def is_bimodal(values: Numbers, least: int = 10) -> bool:
    """Whether values form two groups of at least a fifth each: the best split explains over 92 % of the variance.

    >>> is_bimodal([1.0, 1.1, 0.9, 1.05, 0.95, 2.0, 2.1, 1.9, 2.05, 1.95])
    True
    >>> is_bimodal([0.9, 0.95, 1.0, 1.0, 1.02, 1.04, 1.05, 1.1, 1.12, 1.2])
    False
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    total = float(ordered.var()) * ordered.size
    if ordered.size < least or total == 0:
        return False
    fifth = max(2, ordered.size // 5)
    within = [
        ordered[:cut].var() * cut + ordered[cut:].var() * (ordered.size - cut)
        for cut in range(fifth, ordered.size - fifth + 1)
    ]
    return bool(1 - min(within) / total > TWO_MODES)


def drifts(values: Numbers, effect: float, rate: float = 0.01) -> bool:
    """Whether log times drift: Kendall's tau is significant at `rate`, and the ends differ by more than `effect`.

    >>> drifts([0.01 * step for step in range(20)], effect=0.05), drifts([0.0, 0.01] * 10, effect=0.05)
    (True, False)
    """
    kept = np.asarray(values, dtype=float)
    third = kept.size // 3
    if third < 3:
        return False
    moved = abs(float(np.median(kept[-third:]) - np.median(kept[:third])))
    return bool(moved > effect and kendalltau(np.arange(kept.size), kept).pvalue < rate)
