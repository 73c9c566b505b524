"""What a row could have shown: the smallest effect within its reach, and the pairs that a smaller one would need.

Both take a row's log ratios as normal with standard deviation `noise`, where the signed-rank test has 3/pi of the
efficiency of Student's test on their mean (Hodges and Lehmann, 1956); under heavier tails it has more.
"""

from __future__ import annotations

import math

from scipy.special import stdtrit

from reports.statistics.multiplicity import minimum_pairs

EFFICIENCY = 3 / math.pi
MOST_PAIRS = 100_000  # a row that needs more is out of reach, and the search ends


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
    wanted = max(ratio, 1 / ratio)
    low, high = minimum_pairs(1, rate), MOST_PAIRS
    while low < high:
        middle = (low + high) // 2
        if detectable_ratio(noise, middle, rate, power) <= wanted:
            high = middle
        else:
            low = middle + 1
    return low
