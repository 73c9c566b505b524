"""Many rows and many looks: what keeps the error rate of a whole comparison at its nominal value.

Source: Benjamini and Hochberg (1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import false_discovery_control


def benjamini_hochberg(p_values: Sequence[float], rate: float) -> list[bool]:
    """Which of the rows are discoveries when at most `rate` of all discoveries may be false.

    >>> benjamini_hochberg([0.001, 0.02, 0.9], 0.05)
    [True, True, False]
    """
    if not p_values:
        return []
    adjusted = false_discovery_control(list(p_values))
    return [bool(value <= rate) for value in adjusted]


def minimum_pairs(rows: int, rate: float) -> int:
    """The fewest process pairs with which one changed row among `rows` can be flagged at all.

    The smallest two-sided p-value of n pairs is 2 / 2**n (every sign equal) and a lone row needs p <= rate / rows,
    which gives ceil(1 + log2(rows / rate)).

    >>> minimum_pairs(1, 0.01), minimum_pairs(50, 0.05), minimum_pairs(500, 0.05)
    (8, 11, 15)
    """
    if rows < 1 or not 0 < rate < 1:
        raise ValueError(f"rows must be at least 1 and rate between 0 and 1, not rows={rows}, rate={rate}")
    return math.ceil(1 + math.log2(rows / rate))


def spend(rate: float, look: int) -> float:
    """The part of an error rate that the look-th look at growing data may use: rate / (look (look + 1)).

    The parts of all looks, however many, add up to the rate, since the sum of 1 / (k (k + 1)) telescopes to 1.

    >>> [round(spend(0.06, look), 3) for look in (1, 2, 3)]
    [0.03, 0.01, 0.005]
    """
    if look < 1:
        raise ValueError(f"look must be at least 1, not {look}")
    return rate / (look * (look + 1))
