"""A median and its confidence interval, from order statistics alone.

The number of samples below the true median is binomial(n, 1/2), whatever the distribution of the samples, so the
interval between the k-th smallest and the k-th largest covers the median with probability 1 - 2 P(B < k). Nothing is
assumed to be normal and no sample is dropped. Source: Thompson, "On confidence ranges for the median", Annals of
Mathematical Statistics 7 (1936).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median


def interval_rank(count: int, confidence: float = 0.95) -> int:
    """How many samples to leave out at each end: the largest k that still covers with `confidence`.

    Returns 0 (the full range) when `count` is too small for the confidence asked for.

    >>> interval_rank(7), interval_rank(20)
    (0, 5)
    """
    allowed = Fraction(1 - confidence) * 2**count  # in whole numbers: 2^count leaves float's range at 1024 samples
    ways = tail = 1
    left_out = 0
    while 2 * tail <= allowed:
        left_out += 1
        ways = ways * (count - left_out + 1) // left_out
        tail += ways
    return max(0, left_out - 1)


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The median of `samples` with the ends of its confidence interval, in the unit of the samples.

    Raises ValueError for no samples. With fewer than six samples the interval is the full range and covers less than
    95 percent.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    (4.0, 1.0, 7.0)
    """
    if not samples:
        raise ValueError("samples: expected at least one sample, got none")
    ordered = sorted(samples)
    left_out = interval_rank(len(ordered), confidence)
    return median(ordered), ordered[left_out], ordered[-1 - left_out]


def precision(samples: Sequence[float], confidence: float = 0.95) -> float:
    """Half the width of the median's confidence interval as a fraction of the median.

    >>> precision([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1])
    0.05
    """
    middle, low, high = median_interval(samples, confidence)
    return round((high - low) / 2 / middle, 12) if middle > 0 else float("inf")
