"""What the readings of the drive loop mean; expected values are worked out by hand from traces of whole seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossimpl.loading.timing import analysis

TRACE = {  # two epochs of four batches of 10 samples: the first batch of each takes 4 s, the others 1 s
    "wait": [4.0, 1.0, 1.0, 1.0] * 2,
    "step": [0.0] * 8,
    "samples": [10] * 8,
    "epoch": [0] * 4 + [1] * 4,
    "openings": [(0, 2.0), (1, 3.0)],
    "tails": [(0, 1.0), (1, 1.0)],
}


@given(st.lists(st.floats(0, 1e3), min_size=1))
def test_percentiles_are_the_smallest_values_that_enough_do_not_exceed(values):
    """Nearest rank: the k-th smallest, where k is that share of the count, rounded up."""
    found = analysis.percentiles(values)
    assert found == {f"p{p}": sorted(values)[math.ceil(p * len(values) / 100) - 1] for p in (50, 95, 99)}


def test_no_values_have_no_percentiles():
    """None, never 0."""
    assert analysis.percentiles([]) == {"p50": None, "p95": None, "p99": None}


def test_whole_epochs_count_where_there_is_no_steady_state():
    """40 samples in 4 + 3 x 1 + 1 s, twice."""
    assert not analysis.has_steady_state(TRACE, fill=2, workers=1)
    assert analysis.rates(TRACE, fill=2, workers=1) == (5.0, 5.0)


def test_workers_that_are_kept_are_not_started_again():
    """The first epoch, which starts them, is no whole epoch like the later ones."""
    later = {**TRACE, "wait": [9.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0]}
    assert analysis.rates(later, fill=9, workers=1, keep=True) == (5.0,)


@pytest.mark.parametrize("batches", [12, 16, 18])
@pytest.mark.parametrize("fill", [4, 8, 9])
def test_batches_that_come_in_bursts_are_counted_by_rounds(batches, fill):
    """Four workers in step: four batches of 10 samples each 2 s, wherever the queue's fill cuts; 20 samples/s."""
    waits = [2.0 if number % 4 == 0 else 0.0 for number in range(batches)]
    trace = {"wait": waits * 2, "step": [0.0] * 2 * batches, "samples": [10] * 2 * batches}
    trace |= {"epoch": [0] * batches + [1] * batches, "openings": [(0, 0.0), (1, 0.0)], "tails": [(0, 0.0), (1, 0.0)]}
    if analysis.has_steady_state(trace, fill, 4):
        assert set(analysis.rates(trace, fill, 4)) == {20.0}
    start = analysis.restart(trace, False, 4)
    assert (start.first, start.round) == (2.0, 2.0)
    assert analysis.epoch_rate(20.0, start.round, 10 * batches, 40) == pytest.approx(20.0)


def test_the_steady_state_leaves_out_the_start_of_each_epoch():
    """With an empty queue three batches per epoch are left, 10 samples in 1 s each."""
    assert analysis.has_steady_state(TRACE, fill=0, workers=0)
    assert set(analysis.rates(TRACE, fill=0, workers=0)) == {10.0}


@pytest.mark.parametrize(("persistent", "openings", "seconds"), [(False, 2, 4.0), (True, 1, None), (False, 1, 4.0)])
def test_restart_is_the_wait_at_the_start_of_a_later_epoch(persistent, openings, seconds):
    """Of one epoch alone, its own start, unless its workers would have been kept."""
    trace = {**TRACE, "openings": TRACE["openings"][:openings]}
    found = analysis.restart(trace, persistent, workers=0)
    assert (found and found.first) == seconds


def test_an_epoch_is_its_start_and_the_rest_at_the_steady_rate():
    """100 samples: 10 come with the start of 4 s, 90 at 10 per second: 100 / 13 s."""
    assert analysis.epoch_rate(10.0, 4.0, 100, 10) == pytest.approx(100 / 13)
    assert analysis.epoch_rate(10.0, None, 100, 10) == 10.0
