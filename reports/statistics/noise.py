"""The shape of a row's noise: how wide, one mode or two, steady or drifting."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from reports.statistics.paired import Numbers

ONE_MODE = 0.637  # 2 / pi: the share of variance that the best split of a normal law into two parts explains
UNIFORM = 0.75  # the same for a uniform law, the flattest with one mode
TWO_MODES = 0.92  # beyond both with room for the sampling error of a dozen values


def spread(values: Numbers) -> float:
    """A standard deviation that outliers do not move: the median absolute deviation times 1.4826 (normal law).

    >>> round(spread([1.0, 2.0, 3.0, 4.0, 500.0]), 3)
    1.483
    """
    kept = np.asarray(values, dtype=float)
    return float(1.4826 * np.median(np.abs(kept - np.median(kept)))) if kept.size else float("nan")


def is_bimodal(values: Numbers, least: int = 10) -> bool:
    """Whether values fall in two groups: the best split explains over 92 % of the variance, a fifth on either side.

    A normal law reaches 64 % and a uniform one 75 %, so neither is taken for two modes.

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
    """Whether log times wander one way over the run: Kendall's tau at `rate`, and by more than `effect` end to end.

    >>> drifts([0.01 * step for step in range(20)], effect=0.05), drifts([0.0, 0.01] * 10, effect=0.05)
    (True, False)
    """
    kept = np.asarray(values, dtype=float)
    third = kept.size // 3
    if third < 3:
        return False
    moved = abs(float(np.median(kept[-third:]) - np.median(kept[:third])))
    return bool(moved > effect and kendalltau(np.arange(kept.size), kept).pvalue < rate)
