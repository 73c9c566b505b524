"""Intervals, ties and ranks: how well a median is known, and which numbers are significantly smaller than others.

The number of samples below the true median is binomial(n, 1/2), whatever the distribution of the samples, so the
interval between the k-th smallest and the k-th largest covers the median with probability 1 - 2 P(B < k). Nothing is
assumed to be normal and no sample is dropped. Source: Thompson, "On confidence ranges for the median", Annals of
Mathematical Statistics 7 (1936).

Two numbers whose intervals overlap are statistically tied. Pure: the terminal and the site rank by these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from statistics import median
from typing import NamedTuple

CONFIDENCE = 0.95  # the level of every interval that is shown or ranked by
FEWEST = 6  # samples that support an interval: their range covers the median with 1 - 2 / 2**6 = 97 %


class Interval(NamedTuple):
    """A number with the ends of its confidence interval, all in one unit."""

    value: float
    low: float
    high: float

    def widened(self, share: float) -> Interval:
        """The interval with ends that are larger by `share` of themselves.

        >>> Interval(2.0, 1.5, 3.0).widened(0.5)
        Interval(value=2.0, low=1.0, high=4.5)
        """
        return Interval(self.value, self.low / (1 + share), self.high * (1 + share))


def median_interval(samples: Sequence[float]) -> Interval:
    """The median of `samples` with its confidence interval, in the unit of the samples.

    Raises ValueError for no samples. Fewer than `FEWEST` samples give their full range, which covers less than 95
    percent.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    Interval(value=4.0, low=1.0, high=7.0)
    """
    if not samples:
        raise ValueError("samples: expected at least one sample, got none")
    ordered = sorted(samples)
    left_out = interval_rank(len(ordered))
    return Interval(median(ordered), ordered[left_out], ordered[-1 - left_out])


@cache
def interval_rank(count: int, confidence: float = CONFIDENCE) -> int:
    """How many of `count` samples to leave out at each end: the most that still cover with `confidence`, or 0.

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


def precision(samples: Sequence[float]) -> float:
    """Half the width of the median's confidence interval as a fraction of the median.

    >>> precision([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1])
    0.05
    """
    middle, low, high = median_interval(samples)
    return round((high - low) / 2 / middle, 12) if middle > 0 else float("inf")


def tied(one: Interval, other: Interval) -> bool:
    """Whether two intervals overlap.

    >>> tied(Interval(1.0, 0.9, 1.1), Interval(1.2, 1.1, 1.3)), tied(Interval(1.0, 0.9, 1.1), Interval(2.0, 1.9, 2.1))
    (True, False)
    """
    return one.low <= other.high and other.low <= one.high


def ranks(intervals: Sequence[Interval]) -> list[int]:
    """The rank of each, 1 for the smallest value; one that is tied with the first of a rank shares that rank.

    >>> ranks([Interval(3.0, 2.9, 3.1), Interval(1.0, 0.9, 1.1), Interval(1.1, 1.0, 1.2)])
    [3, 1, 1]
    """
    found = [0] * len(intervals)
    first, rank = None, 0
    for place, index in enumerate(sorted(range(len(intervals)), key=lambda one: intervals[one].value), start=1):
        if first is None or not tied(intervals[index], first):
            first, rank = intervals[index], place
        found[index] = rank
    return found


def ratio(slow: Interval, fast: Interval) -> Interval:
    """How many times as large `slow` is as `fast`, with the widest ends that both intervals allow.

    >>> ratio(Interval(4.0, 3.0, 5.0), Interval(2.0, 1.0, 2.5))
    Interval(value=2.0, low=1.2, high=5.0)
    """
    high = slow.high / fast.low if fast.low > 0 else float("inf")
    return Interval(slow.value / fast.value, slow.low / fast.high, high)
