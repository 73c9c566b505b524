"""Intervals, ties and ranks: what a session's estimate is worth, and which implementations are significantly faster.

Between processes: the rounds of a session are its replicates. `over_rounds` gives the geometric mean over rounds with
an interval that the estimate of another session of as many rounds falls into with 95 %: the prediction interval of
Student (1908) on the logarithms, mean ± t s sqrt(1/n + 1/n). `paired` does the same for the ratio of two
implementations within each round, where what slows down both cancels. Two implementations are statistically tied if
that interval holds 1.

Within a process: `median_interval` covers the median of samples, whatever their distribution: the number of samples
below it is binomial(n, 1/2). Source: Thompson, "On confidence ranges for the median", Annals of Mathematical Statistics
7 (1936).

Pure: the terminal and the site rank by these functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from statistics import fmean, median
from typing import NamedTuple

CONFIDENCE = 0.95  # the level of every interval that is shown or ranked by
FEWEST_ROUNDS = 4  # that support an interval: of three, one disturbed round widens it fourfold
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


def over_rounds(values: Sequence[float]) -> Interval:
    """The geometric mean over rounds, with the interval for the estimate of another session of as many rounds.

    Fewer than `FEWEST_ROUNDS` rounds support no interval: its ends are NaN. Raises ValueError for no rounds.

    >>> [round(end, 3) for end in over_rounds([1.00, 1.02, 0.98, 1.01, 0.99])]
    [1.0, 0.973, 1.028]
    >>> over_rounds([2.0, 2.0])
    Interval(value=2.0, low=nan, high=nan)
    """
    if not values:
        raise ValueError("values: expected at least one round, got none")
    logs = [math.log(value) for value in values]
    middle = fmean(logs)
    if len(logs) < FEWEST_ROUNDS:
        return Interval(math.exp(middle), math.nan, math.nan)
    spread = math.sqrt(math.fsum((one - middle) ** 2 for one in logs) / (len(logs) - 1))  # stdev takes 20 times as long
    reach = student(len(logs) - 1) * spread * math.sqrt(2 / len(logs))
    return Interval(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))


def paired(slow: Mapping[int, float], fast: Mapping[int, float]) -> Interval | None:
    """How many times as large `slow` is as `fast`, paired within rounds; None where they share no round.

    >>> paired({1: 2.0, 2: 4.0, 3: 8.0, 4: 2.0}, {1: 1.0, 2: 2.0, 3: 4.0, 4: 1.0, 5: 3.0})
    Interval(value=2.0, low=2.0, high=2.0)
    """
    shared = [number for number in slow if number in fast]
    return over_rounds([slow[number] / fast[number] for number in shared]) if shared else None


@cache
def student(freedom: int) -> float:
    """The two-sided quantile of Student's t at `CONFIDENCE`.

    >>> round(student(4), 3)
    2.776
    """
    from scipy.special import stdtrit  # late: it takes a tenth of a second

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def proportion(successes: int, trials: int) -> Interval:
    """A share with its exact interval (Clopper and Pearson, Biometrika 26, 1934), for independent trials.

    >>> [round(end, 3) for end in proportion(18, 20)]
    [0.9, 0.683, 0.988]
    >>> [round(end, 3) for end in proportion(20, 20)]
    [1.0, 0.832, 1.0]
    """
    from scipy.special import betaincinv

    tail, failures = (1 - CONFIDENCE) / 2, trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(successes / trials, low, high)


def significantly_slower(slow: Mapping[int, float], fast: Mapping[int, float]) -> bool:
    """Whether the interval of the paired ratio lies above 1; without an interval, nothing is significant."""
    found = paired(slow, fast)
    return found is not None and found.low > 1


def paired_ranks(times: Sequence[Mapping[int, float]]) -> list[int]:
    """The rank of each by its times per round, 1 for the fastest; one that is tied with the first of a rank shares it.

    >>> paired_ranks([{1: 3.0, 2: 3.3, 3: 3.0, 4: 3.1}, {1: 1.0, 2: 1.1, 3: 1.0, 4: 1.0}])
    [2, 1]
    """
    found = [0] * len(times)
    first, rank = None, 0
    for place, index in enumerate(
        sorted(range(len(times)), key=lambda one: over_rounds([*times[one].values()])), start=1
    ):
        if first is None or significantly_slower(times[index], first):
            first, rank = times[index], place
        found[index] = rank
    return found


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
    """Half the width of the median's interval as a fraction of the median; infinite for fewer than three samples.

    >>> precision([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1])
    0.05
    """
    middle, low, high = median_interval(samples)
    return round((high - low) / 2 / middle, 12) if middle > 0 and len(samples) > 2 else math.inf


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
