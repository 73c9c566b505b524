"""The sequential design, simulated: it keeps its error rates under noise of every kind, and finds what is planted."""

import math

import numpy as np
import pytest
from simulated import KINDS

from reports.gate.design import FIRST_LOOK, MOST_BLOCKS, Design
from reports.statistics import minimum_pairs, spend

BLOCKS = 45  # that a run has time for


def simulate(rows, noise, rng, shift=0.0, size=0.1, blocks=BLOCKS):
    """One run: every row's processes share one stretch of noise in time, whichever stage measures them."""
    design = Design(range(rows))
    streams = [size * noise(4 * blocks, rng).reshape(-1, 4) for _ in range(rows)]
    for block in range(blocks):
        coin = rng.choice([-1.0, 1.0])
        for row in design.wanted():
            first, second, third, fourth = streams[row][block]
            design.observe(row, (shift + coin * (second - first), shift + coin * (third - fourth)))
        design.look()
    design.look(final=True)
    return [design.verdict(row) for row in range(rows)]


def flagged(verdicts):
    return sum(one.verdict in ("slower", "faster") for one in verdicts)


@pytest.mark.parametrize("kind", KINDS)
def test_identical_code_is_almost_never_flagged(kind):
    """40 runs of 20 rows, processes varying by 10 %: a run flags anything with probability 1 % at most.

    Three flagged runs would be seen by a design that keeps its promise in fewer than 1 of 1,000 simulations.
    """
    rng = np.random.default_rng(21)
    runs = [flagged(simulate(20, KINDS[kind], rng)) for _ in range(40)]
    assert sum(count > 0 for count in runs) < 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_family_error_over_many_runs(kind):
    """1,000 runs of 20 rows: at most 1 % flag anything, plus three standard errors."""
    rng = np.random.default_rng(22)
    runs = [flagged(simulate(20, KINDS[kind], rng)) for _ in range(1000)]
    assert sum(count > 0 for count in runs) / 1000 <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / 1000)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_twenty_percent_is_found(kind):
    """+20 % in all of 20 rows, processes varying by 10 %: at least 90 % are slower within 45 blocks."""
    rng = np.random.default_rng(23)
    found = [one for _ in range(3) for one in simulate(20, KINDS[kind], rng, shift=math.log(1.2))]
    assert sum(one.verdict == "slower" for one in found) >= 0.9 * len(found)


def test_a_lone_change_among_many_rows_is_found():
    """One row of 50 at +20 %: it is the only one flagged, in 9 of 10 runs at least."""
    rng = np.random.default_rng(24)
    right = 0
    for _ in range(10):
        design = Design(range(50))
        for _ in range(BLOCKS):
            for row in design.wanted():
                shift = math.log(1.2) if row == 7 else 0.0
                design.observe(row, tuple(shift + 0.05 * rng.standard_normal(2)))
            design.look()
        verdicts = [design.verdict(row).verdict for row in range(50)]
        right += verdicts[7] == "slower" and set(verdicts[:7] + verdicts[8:]) <= {"same", "inconclusive"}
    assert right >= 9


def test_quiet_rows_of_identical_code_are_the_same_at_the_first_looks():
    """Processes varying by 1 %: every row is shown equivalent, most at the first look, after 12 pairs."""
    verdicts = simulate(20, KINDS["normal"], np.random.default_rng(25), size=0.01)
    assert {one.verdict for one in verdicts} == {"same"}
    assert sorted(one.pairs for one in verdicts)[10] == 2 * FIRST_LOOK


def test_confirmation_uses_fresh_pairs_only():
    """A row that looked slow while screening and is not: the pairs that raised the suspicion do not count again."""
    design = Design(["row"])
    for _ in range(FIRST_LOOK):
        design.observe("row", (0.3, 0.31))
    design.look()
    assert design.progress["row"].stage == "confirming"
    rng = np.random.default_rng(26)
    while design.wanted():
        design.observe("row", tuple(0.01 * rng.standard_normal(2)))
        design.look()
    verdict = design.verdict("row")
    assert verdict.verdict == "same"
    assert verdict.estimate.ratio == pytest.approx(1.0, abs=0.01)


def test_a_cohort_waits_until_its_lone_member_could_be_flagged():
    """Twenty suspects: the first test comes with the pairs that a lone one needs at the first look's rate."""
    design = Design(range(20))
    for _ in range(FIRST_LOOK):
        for row in range(20):
            design.observe(row, (0.3, 0.31))
    design.look()
    needed = minimum_pairs(20, spend(0.01, 1)) // 2
    assert {one.next_look for one in design.progress.values()} == {needed}


def test_a_change_below_the_threshold_is_never_flagged():
    """+2 %, as clear as can be: `same`, since nobody asked for changes below 5 %."""
    verdicts = simulate(5, KINDS["normal"], np.random.default_rng(27), shift=math.log(1.02), size=0.005)
    assert {one.verdict for one in verdicts} == {"same"}


def test_an_undecided_row_says_what_it_needs():
    """Three blocks of a noisy row: inconclusive, out of reach so far, and how many pairs would do."""
    design = Design(["row"])
    for pair in ((0.1, -0.2), (0.3, 0.1), (-0.2, -0.1)):
        design.observe("row", pair)
    design.look(final=True)
    verdict = design.verdict("row")
    assert (verdict.verdict, verdict.pairs, verdict.detectable) == ("inconclusive", 6, math.inf)
    assert verdict.pairs_needed > 100


def test_a_row_without_any_pair_is_inconclusive():
    """Nothing measured is no verdict, and no exception."""
    verdict = Design(["row"]).verdict("row")
    assert (verdict.verdict, verdict.pairs) == ("inconclusive", 0)


def test_a_row_that_stays_undecided_is_given_up():
    """Times that vary threefold show nothing about 5 %: the design stops asking after its largest count."""
    design, rng = Design(["row"]), np.random.default_rng(28)
    blocks = 0
    while design.wanted():
        design.observe("row", tuple(rng.standard_normal(2)))
        design.look()
        blocks += 1
    assert MOST_BLOCKS <= blocks <= 2 * MOST_BLOCKS
    assert design.verdict("row").verdict == "inconclusive"


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.1])
def test_a_threshold_that_means_nothing_is_refused(effect):
    """The error names the argument, its value and what is allowed."""
    with pytest.raises(ValueError, match="effect must be between 0 and 1"):
        Design([], effect=effect)
