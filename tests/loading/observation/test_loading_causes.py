"""Causes of waiting and predictions; expected values are worked out by hand from whole seconds."""

from __future__ import annotations

import pytest

from lossimpl.loading.observation import prediction, timeline
from lossimpl.loading.observation.epochs import Epoch
from lossimpl.loading.observation.prediction import Pipeline
from lossimpl.loading.observation.timeline import (
    COLLATE,
    DATASET,
    LOADER,
    PIN,
    START,
    STRAGGLER,
    TRANSFER,
    TRANSFORM,
    Wait,
)
from lossimpl.loading.observation.tracing import Made


def made(started, collated, ended, inside=-1.0):
    """A batch that the dataset made until `collated`."""
    return Made(0.0, started, collated, ended, ended, ended - started, inside)


def test_a_wait_goes_to_what_its_worker_did_meanwhile():
    """Asked at 0, came at 10: the worker begins at 1, has its samples at 5 and the batch at 8."""
    found = timeline.with_workers([Wait(0, 10, 0)], {0: [made(1, 5, 8)]})
    assert found == {START: 1, DATASET: 4, COLLATE: 3, TRANSFER: 2}


def test_transforms_share_the_time_of_the_dataset_as_where_they_were_timed():
    """One second of four was spent in them in one of two batches."""
    records = [made(0, 4, 4, inside=1.0), made(4, 8, 8)]
    found = timeline.with_workers([Wait(0, 4, 0), Wait(4, 8, 0)], {0: records})
    assert found == {DATASET: 6, TRANSFORM: 2}


def test_pinning_is_taken_from_the_transfer():
    """Two seconds between worker and training, of which one was spent on pinning, and never more than there are."""
    for pinning, due in ((1.0, {TRANSFER: 1, PIN: 1}), (9.0, {PIN: 2})):
        found = timeline.with_workers([Wait(1, 3, 0)], {0: [made(0, 1, 1)]}, pinning)
        assert found == due


def test_batches_of_a_worker_that_nobody_traced_go_to_the_loader():
    """No record, no guess."""
    assert timeline.with_workers([Wait(0, 3, None)], {}) == {LOADER: 3}


def test_one_slow_worker_is_named_where_it_is_what_is_waited_for():
    """Worker 0 takes 8 s for a batch and worker 1 takes 2 s: only the former is waited for."""
    records = {0: [made(0, 8, 8), made(8, 16, 16)], 1: [made(0, 2, 2), made(2, 4, 4)]}
    waits = [Wait(0, 8, 0), Wait(8, 8, 1), Wait(8, 16, 0), Wait(16, 16, 1)]
    assert timeline.with_workers(waits, records) == {STRAGGLER: 16}
    even = {0: [made(0, 8, 8)], 1: [made(0, 7, 7)]}
    assert timeline.with_workers([Wait(0, 8, 0), Wait(8, 8, 1)], even) == {DATASET: 8}


def test_without_workers_untraced_batches_are_like_the_traced_ones():
    """Four waits of 3 s, one traced: 2 s of dataset and 1 s of collate."""
    waits = [Wait(number * 3, number * 3 + 3, None) for number in range(4)]
    assert timeline.in_one_process(waits, [made(0, 2, 3)]) == {DATASET: 8, COLLATE: 4}


def test_the_wait_for_the_end_of_an_epoch_belongs_to_its_start():
    """The last request, which finds the epoch at its end after 2 s; workers are stopped there."""
    epoch = Epoch(0)
    epoch.asked.append(0.0)
    epoch.came.append(1.0)
    epoch.tail = (3.0, 5.0)
    epoch.settle(0.0)
    assert (epoch.steps, epoch.waits, epoch.ending) == ([2.0], [1.0], 2.0)
    assert epoch.causes == {LOADER: 1, START: 2}


LINE = Pipeline(step=0.02, step_work=0.0, making=0.06, work=0.0, transfer=0.0, starting=0.0, batches=1e9, cores=4)


@pytest.mark.parametrize(("workers", "seconds"), [(0, 0.08), (1, 0.06), (2, 0.03), (3, 0.02), (4, 0.02)])
def test_a_period_is_the_slower_of_making_and_using(workers, seconds):
    """60 ms to make a batch, 20 ms to use it."""
    assert prediction.period(LINE, workers, keep=True) == pytest.approx(seconds, abs=0.0002)


def test_processors_limit_what_workers_give():
    """A batch needs 60 ms of a processor, and there is one of two at 90 percent: 60 / 1.8 ms, however many workers."""
    line = LINE.__class__(**{**vars(LINE), "work": 0.06, "cores": 2})
    assert prediction.period(line, 8, keep=True) == pytest.approx(0.06 / 1.8, abs=0.0001)


def test_the_fewest_workers_that_are_enough_are_preferred():
    """Three make batches as fast as they are used; kept, since there are several epochs of few batches."""
    line = LINE.__class__(**{**vars(LINE), "batches": 50.0, "epochs": 3})
    best = prediction.best(line, (0, 1, 2, 3, 4, 8), epochs=3)
    assert (best.num_workers, best.persistent_workers) == (3, True)


def test_a_slow_step_needs_no_workers():
    """A second per step beside a millisecond per batch."""
    line = LINE.__class__(**{**vars(LINE), "step": 1.0, "making": 0.001})
    assert prediction.best(line, (0, 1, 2), epochs=1).num_workers == 0
