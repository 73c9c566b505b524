"""The median's interval against scipy's binomial distribution, and against the coverage that it promises."""

import random

import pytest
from scipy.stats import binom

from lossimpl.measure.summary import interval_rank, median_interval, precision


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
