"""Intervals against scipy's binomial distribution and the coverage that they promise; ties and ranks by hand."""

import random

import pytest
from scipy.stats import binom

from lossimpl.ranking import FEWEST, Interval, interval_rank, median_interval, precision, ranks, ratio, tied


@pytest.mark.parametrize("count", [6, 7, 8, 9, 12, 20, 57, 100, 200])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_ranks_are_those_of_the_binomial_distribution(count, confidence):
    """The most samples that may be left out at each end: 2 P(B <= k) <= 1 - confidence, by scipy's binom."""
    allowed = [k for k in range(count // 2) if 2 * binom.cdf(k, count, 0.5) <= 1 - confidence]
    assert interval_rank(count, confidence) == max(allowed, default=0)


@pytest.mark.parametrize("count", [7, 15, 40])
def test_the_interval_covers_the_median_as_often_as_it_says(count):
    """4000 draws from a heavy-tailed distribution of median 1: at least 95 percent, less three standard errors."""
    draw = random.Random(20261123)
    covered = 0
    for _ in range(4000):
        _, low, high = median_interval([draw.lognormvariate(0, 1.5) for _ in range(count)])
        covered += low <= 1 <= high
    assert covered / 4000 >= 0.95 - 3 * (0.05 * 0.95 / 4000) ** 0.5


def test_few_samples_give_their_range():
    """Three samples cover a median with 75 percent at best: the whole range."""
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def test_no_samples_are_an_error():
    """The message names the argument."""
    with pytest.raises(ValueError, match="samples"):
        median_interval([])


def test_precision_has_no_unit():
    """Seconds or microseconds, the fraction is the same."""
    samples = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0]
    assert precision(samples) == pytest.approx(precision([1e6 * value for value in samples])) == pytest.approx(0.1)


def test_thousands_of_samples_have_an_interval():
    """Beyond 1,023 samples 2^n is no float. The normal approximation gives n/2 - 1.96 sqrt(n)/2, here 4,902.0."""
    assert interval_rank(10_000) in (4901, 4902)


def test_fewest_is_the_first_count_that_supports_an_interval():
    """By scipy's binom: the range of n samples misses the median with 2 P(B = 0), 3 % for six and 6 % for five."""
    missed = [2 * binom.cdf(0, count, 0.5) for count in (FEWEST - 1, FEWEST)]
    assert missed[1] <= 0.05 < missed[0]


def about(value, share=0.01):
    """An interval whose ends lie this share to each side of the value."""
    return Interval(value, value * (1 - share), value * (1 + share))


def test_a_chain_of_overlaps_is_compared_with_its_first():
    """1.00 overlaps 1.015, which overlaps 1.03; 1.03 does not overlap 1.00, so it starts a rank of its own."""
    assert ranks([about(1.03), about(1.0), about(1.015)]) == [3, 1, 1]


def test_intervals_that_touch_are_tied():
    """The value at which both end is in either of them."""
    assert tied(Interval(1.0, 0.5, 1.5), Interval(2.0, 1.5, 2.5))
    assert tied(Interval(2.0, 1.5, 2.5), Interval(1.0, 0.5, 1.5))


def test_nothing_has_no_ranks():
    """An empty table is no error."""
    assert ranks([]) == []


def test_a_ratio_is_as_wide_as_both_intervals_allow():
    """4 over 1 is 4, and the ends are 3.96 / 1.01 and 4.04 / 0.99; an interval down to zero has no upper end."""
    assert ratio(about(4.0), about(1.0)) == pytest.approx((4.0, 3.96 / 1.01, 4.04 / 0.99))
    assert ratio(about(4.0), Interval(1.0, 0.0, 2.0)).high == float("inf")
