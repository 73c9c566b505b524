"""The statistics of process pairs keep their nominal error rates under noise of every kind."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import wilcoxon
from simulated import IN_TIME, KINDS

from reports.statistics.multiplicity import benjamini_hochberg
from reports.statistics.noise import is_bimodal
from reports.statistics.paired import equivalence_p, estimate, log_ratios, signed_rank_p
from reports.statistics.power import detectable_ratio, pairs_needed


def pair_ratios(log_times, rng):
    """Log ratios as the gate measures them on identical code: the coin of each pair decides which side runs first."""
    first, second = log_times.reshape(-1, 2).T
    return rng.choice([-1.0, 1.0], first.size) * (second - first)


@pytest.mark.parametrize("kind", [*KINDS, *IN_TIME])
def test_identical_code_is_called_different_at_the_nominal_rate(kind):
    """2,000 comparisons of identical code at p <= 0.05: the exact test flags at most 5 % plus three standard errors."""
    rng, noise = np.random.default_rng(7), {**KINDS, **IN_TIME}[kind]
    flagged = sum(signed_rank_p(pair_ratios(0.1 * noise(40, rng), rng)) <= 0.05 for _ in range(2000))
    assert flagged / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_without_the_coin_the_error_rate_is_not_kept():
    """With base always first, a machine that warms up is called a change more than twice too often."""
    rng = np.random.default_rng(11)
    flagged = 0
    for _ in range(200):
        first, second = IN_TIME["drifting"](400, rng).reshape(-1, 2).T
        flagged += signed_rank_p(second - first) <= 0.05
    assert flagged / 200 > 0.10


@pytest.mark.parametrize("size", [5, 9, 14])
def test_signed_rank_p_is_that_of_scipy(size):
    """Expected values: scipy.stats.wilcoxon, exact method, on values without ties."""
    values = np.random.default_rng(size).normal(0.3, 1, size)
    for alternative in ("two-sided", "greater", "less"):
        expected = wilcoxon(values, alternative=alternative, method="exact").pvalue
        assert signed_rank_p(values, alternative) == pytest.approx(expected)


def test_signed_rank_p_counts_every_sign_pattern_where_values_tie():
    """Expected value: all 2**6 patterns of signs, counted one by one; scipy has no exact method with ties."""
    values = np.array([0.2, 0.2, 0.2, 0.5, -0.5, 0.7])
    ranks = np.array([2.0, 2.0, 2.0, 4.5, 4.5, 6.0])
    observed = ranks[values > 0].sum()
    sums = [ranks[list(picked)].sum() for picked in itertools.product([False, True], repeat=6)]
    expected = sum(one >= observed for one in sums) / 2**6
    assert signed_rank_p(values, "greater") == pytest.approx(expected)


def test_identical_times_are_no_difference():
    """Exact zeros have no sign, so they are no evidence of a difference."""
    assert signed_rank_p([0.0] * 12) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_interval_covers_the_true_ratio(kind):
    """95 % intervals of a +20 % slowdown contain 1.2 in 95 % of 600 comparisons, less three standard errors."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(600):
        result = estimate(pair_ratios(0.1 * KINDS[kind](48, rng), rng) + math.log(1.2))
        held += result.low <= 1.2 <= result.high
    assert held / 600 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 600)


def test_too_few_pairs_have_no_interval():
    """Five pairs cannot make a 95 % interval: the smallest two-sided p is 2 / 2**5 = 6 %."""
    result = estimate([0.1] * 5)
    assert (result.low, result.high) == (0.0, math.inf)


def test_equivalence_is_shown_only_inside_the_threshold():
    """Of 1,000 trials, a change of 5.5 % is called smaller than 5 % in at most 5 %, and no change in 99 %."""
    rng = np.random.default_rng(5)
    noise = [pair_ratios(0.02 * rng.standard_normal(64), rng) for _ in range(1000)]
    outside = sum(equivalence_p(one + math.log(1.055), 0.05) <= 0.05 for one in noise)
    inside = sum(equivalence_p(one, 0.05) <= 0.05 for one in noise)
    assert outside <= 50
    assert inside >= 990


def test_minimum_pairs_is_the_first_count_that_can_flag():
    """A lone row among 50, all its signs equal, is a discovery at 11 pairs and is none at 10."""
    for pairs, expected in ((10, False), (11, True)):
        p_values = [signed_rank_p([0.5] * pairs)] + [1.0] * 49
        assert benjamini_hochberg(p_values, 0.05)[0] is expected


def test_power_formulas_agree_with_simulation():
    """The pairs that `pairs_needed` states find +5 % in about the 90 % of normal rows that it promises."""
    rng = np.random.default_rng(2)
    pairs = pairs_needed(noise=0.05, ratio=1.05, rate=0.01)
    rows = [math.log(1.05) + 0.05 * rng.standard_normal(pairs) for _ in range(1000)]
    found = sum(signed_rank_p(one) <= 0.01 for one in rows) / 1000
    assert 0.84 <= found <= 0.96
    assert detectable_ratio(0.05, pairs, 0.01) == pytest.approx(1.05, abs=0.002)


def test_one_mode_is_not_called_bimodal():
    """Normal and uniform samples of 12 are called bimodal in under 2 % of 500; two clear groups in over 90 %."""
    rng = np.random.default_rng(9)
    assert sum(is_bimodal(rng.standard_normal(12)) for _ in range(500)) < 10
    assert sum(is_bimodal(rng.random(12)) for _ in range(500)) < 25
    groups = np.r_[np.zeros(8), np.ones(4)]
    assert sum(is_bimodal(groups + 0.08 * rng.standard_normal(12)) for _ in range(500)) > 450


@pytest.mark.parametrize(
    ("base", "head", "message"),
    [([1.0], [1.0, 2.0], "equal length"), ([0.0], [1.0], "positive"), ([1.0], [math.nan], "finite")],
)
def test_bad_times_are_refused(base, head, message):
    """Times that no clock can measure raise an error."""
    with pytest.raises(ValueError, match=message):
        log_ratios(base, head)


def test_an_end_beyond_every_float_is_infinite():
    """A process that was suspended widens the interval, without an overflow."""
    found = estimate([0.0] * 5 + [900.0] * 2)
    assert (found.ratio, found.high) == (1.0, math.inf)
