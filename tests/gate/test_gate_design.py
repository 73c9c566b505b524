"""The sequential design, simulated: it keeps its error rates under noise of every kind, and finds planted changes."""

import math

import numpy as np
import pytest
from simulated import IN_TIME, KINDS

from reports.gate.design import ALONE, FIRST_LOOK, MOST_PAIRS, Design
from reports.statistics.multiplicity import minimum_pairs, spend

NOISES = {**KINDS, **IN_TIME}
PAIRS = 90  # in 15 minutes, with 20 rows in processes of 4.5 seconds


def simulate(rows, noise, rng, shift=0.0, size=0.1, pairs=PAIRS):
    """One run: the processes of a row follow one stream of noise over time, in both stages."""
    design = Design(range(rows))
    streams = [size * noise(2 * pairs, rng).reshape(-1, 2) for _ in range(rows)]
    for pair in range(pairs):
        coin = rng.choice([-1.0, 1.0])
        for row in design.wanted():
            first, second = streams[row][pair]
            design.observe(row, shift + coin * (second - first))
        design.look()
    design.look(final=True)
    return [design.verdict(row) for row in range(rows)]


def flagged(verdicts):
    return sum(one.verdict in ("slower", "faster") for one in verdicts)


@pytest.mark.parametrize("kind", NOISES)
def test_identical_code_is_almost_never_flagged(kind):
    """40 runs of 20 rows, processes varying by 10 %: a run flags any row with probability at most 1 %.

    At that rate, three flagged runs have a probability below 1 in 1,000.
    """
    rng = np.random.default_rng(21)
    runs = [flagged(simulate(20, NOISES[kind], rng)) for _ in range(40)]
    assert sum(count > 0 for count in runs) < 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISES)
def test_family_error_over_many_runs(kind):
    """1,000 runs of 20 rows: at most 1 % flag anything, plus three standard errors."""
    rng = np.random.default_rng(22)
    runs = [flagged(simulate(20, NOISES[kind], rng)) for _ in range(1000)]
    assert sum(count > 0 for count in runs) / 1000 <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / 1000)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_twenty_percent_is_found(kind):
    """+20 % in all of 20 rows, processes varying by 10 %: at least 90 % are slower within 90 pairs."""
    rng = np.random.default_rng(23)
    found = [one for _ in range(3) for one in simulate(20, KINDS[kind], rng, shift=math.log(1.2))]
    assert sum(one.verdict == "slower" for one in found) >= 0.9 * len(found)


def test_a_lone_change_among_many_rows_is_found():
    """One row of 50 at +20 %: it is the only one flagged, in 9 of 10 runs at least."""
    rng = np.random.default_rng(24)
    right = 0
    for _ in range(10):
        design = Design(range(50))
        for _ in range(PAIRS):
            for row in design.wanted():
                shift = math.log(1.2) if row == 7 else 0.0
                design.observe(row, shift + 0.05 * rng.standard_normal())
            design.look()
        verdicts = [design.verdict(row).verdict for row in range(50)]
        right += verdicts[7] == "slower" and set(verdicts[:7] + verdicts[8:]) <= {"same", "inconclusive"}
    assert right >= 9


def test_quiet_rows_of_identical_code_are_the_same_at_the_first_looks():
    """Processes varying by 1 %: every row is equivalent, most at the first look, after 6 pairs."""
    verdicts = simulate(20, KINDS["normal"], np.random.default_rng(25), size=0.01)
    assert {one.verdict for one in verdicts} == {"same"}
    assert sorted(one.pairs for one in verdicts)[10] == FIRST_LOOK


def test_confirmation_uses_fresh_pairs_only():
    """A row seems slow in screening and is not: the pairs that raised the suspicion are not used again."""
    design = Design(["row"])
    for _ in range(FIRST_LOOK):
        design.observe("row", 0.3)
    design.look()
    assert design.progress["row"].stage == "confirming"
    rng = np.random.default_rng(26)
    while design.wanted():
        design.observe("row", 0.01 * rng.standard_normal())
        design.look()
    verdict = design.verdict("row")
    assert verdict.verdict == "same"
    assert verdict.estimate.ratio == pytest.approx(1.0, abs=0.01)


def feed(design, pairs, ratio):
    """Pairs of the wanted rows, with `ratio(row)` as their log ratio."""
    for _ in range(pairs):
        for row in design.wanted():
            design.observe(row, ratio(row))
        design.look()


def test_many_clear_changes_are_flagged_with_the_fewest_pairs():
    """Twenty rows at +35 %: suspects after 6 pairs, slower after 9 fresh ones, the fewest for p <= 0.005: 2 / 2**9."""
    design = Design(range(20))
    feed(design, FIRST_LOOK + 8, lambda row: 0.3)
    assert {one.stage for one in design.progress.values()} == {"confirming"}
    feed(design, 1, lambda row: 0.3)
    assert minimum_pairs(1, spend(0.01, 1)) == 9
    assert {(design.verdict(row).verdict, design.verdict(row).pairs) for row in range(20)} == {("slower", 15)}


def test_suspects_among_many_are_measured_alone_first_and_the_others_after_them():
    """2 of 50 noisy rows are suspects: only they are wanted until they were tested three times, then all others too."""
    rng = np.random.default_rng(29)
    design = Design(range(50))
    feed(design, FIRST_LOOK, lambda row: 0.3 if row < 2 else (-1) ** len(design.progress[row].screened) * 0.2)
    assert design.wanted() == [0, 1]
    tests = 0
    while design.wanted() == [0, 1]:
        feed(design, 1, lambda row: 0.2 * rng.standard_normal())
        tests = design.cohorts[0].tests
    assert tests == ALONE
    assert set(range(2, 50)) <= set(design.wanted())


def test_suspects_among_few_rows_are_measured_with_the_others():
    """2 of 20 noisy rows are suspects: a process takes about as long with all rows, so all are measured."""
    design = Design(range(20))
    feed(design, FIRST_LOOK, lambda row: 0.3 if row < 2 else (-1) ** len(design.progress[row].screened) * 0.2)
    assert {design.progress[row].stage for row in (0, 1)} == {"confirming"}
    assert len(design.wanted()) == 20


def test_a_cohorts_quiet_rows_stay_in_its_count():
    """Of 20 suspects 19 become the same: the last needs as small a p as before, since it was selected among them.

    After 14 pairs with one sign against it in the smallest rank p is 4 / 2**14 = 0.00024. Alone it would be a discovery
    at the second test's rate of 0.0017, among twenty it is none, since 0.0017 / 20 = 0.00008.
    """
    design = Design(range(20))
    feed(design, FIRST_LOOK, lambda row: 0.3)
    feed(design, 9, lambda row: (-0.1 if design.progress[0].confirmed == [] else 0.3) if row == 0 else 0.0)
    assert [design.verdict(row).verdict for row in (0, 1)] == ["inconclusive", "same"]
    feed(design, 5, lambda row: 0.3)
    assert design.cohorts[0].tests == 2
    assert design.verdict(0).verdict == "inconclusive"


def test_a_change_below_the_threshold_is_never_flagged():
    """A clear +2 % is `same`, since it is below the threshold of 5 %."""
    verdicts = simulate(5, KINDS["normal"], np.random.default_rng(27), shift=math.log(1.02), size=0.005)
    assert {one.verdict for one in verdicts} == {"same"}


def test_an_undecided_row_has_the_number_of_pairs_that_it_needs():
    """Six pairs of a noisy row: inconclusive, nothing detectable so far, and how many pairs would suffice."""
    design = Design(["row"])
    for ratio in (0.1, -0.2, 0.3, 0.1, -0.2, -0.1):
        design.observe("row", ratio)
    design.look(final=True)
    verdict = design.verdict("row")
    assert (verdict.verdict, verdict.pairs, verdict.detectable) == ("inconclusive", 6, math.inf)
    assert verdict.pairs_needed > 100


def test_a_row_without_any_pair_is_inconclusive():
    """Without a measurement there is no verdict and no exception."""
    verdict = Design(["row"]).verdict("row")
    assert (verdict.verdict, verdict.pairs) == ("inconclusive", 0)


def test_a_row_that_stays_undecided_is_dropped():
    """Times that vary threefold show nothing about 5 %: the design stops after its largest count."""
    design, rng = Design(["row"]), np.random.default_rng(28)
    pairs = 0
    while design.wanted():
        design.observe("row", rng.standard_normal())
        design.look()
        pairs += 1
    assert MOST_PAIRS <= pairs <= 2 * MOST_PAIRS
    assert design.verdict("row").verdict == "inconclusive"


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.1])
def test_a_threshold_without_meaning_is_refused(effect):
    """The error names the argument, its value and what is allowed."""
    with pytest.raises(ValueError, match="effect must be between 0 and 1"):
        Design([], effect=effect)
