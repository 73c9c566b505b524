"""Power of the signed-rank test: the smallest detectable change, and the pairs that a given change needs.

Both model a row's log ratios as normal with standard deviation `noise`, where the signed-rank test has 3/pi of the
efficiency of Student's t-test (Hodges and Lehmann, 1956); with heavier tails it has more.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from scipy.special import stdtrit

from reports.statistics.multiplicity import minimum_pairs

EFFICIENCY = 3 / math.pi
MOST_PAIRS = 100_000  # where the search ends


def detectable_ratio(noise: float, pairs: int, rate: float, power: float = 0.9) -> float:
    """The smallest ratio above 1 found with probability `power` at two-sided error `rate`; infinite for too few pairs.

    >>> round(detectable_ratio(noise=0.05, pairs=20, rate=0.01), 3)
    1.049
    """
    if pairs < minimum_pairs(1, rate):
        return math.inf
    freedom = pairs - 1
    quantiles = float(stdtrit(freedom, 1 - rate / 2) + stdtrit(freedom, power))
    return math.exp(quantiles * noise / math.sqrt(EFFICIENCY * pairs))


def pairs_needed(noise: float, ratio: float, rate: float, power: float = 0.9) -> int:
    """The process pairs that find a change of `ratio` with probability `power` at two-sided error `rate`.

    >>> pairs_needed(noise=0.05, ratio=1.05, rate=0.01)
    20
    """
    if ratio <= 0 or ratio == 1:
        raise ValueError(f"ratio must be positive and differ from 1, not {ratio}")
    wanted, fewest = max(ratio, 1 / ratio), minimum_pairs(1, rate)
    found = bisect_left(
        range(fewest, MOST_PAIRS), True, key=lambda pairs: detectable_ratio(noise, pairs, rate, power) <= wanted
    )
    return fewest + found
