"""The drive loop's readings, against a clock that moves by one second each time that it is read."""

from __future__ import annotations

import itertools

import pytest

from lossimpl.loading.timing import drive as loop
from lossimpl.loading.timing.drive import Drive, Extent


@pytest.fixture(autouse=True)
def ticking(monkeypatch):
    """0, 1, 2, ... seconds: expected values below are counted by hand from the order of the readings."""
    monkeypatch.setattr(loop, "now", itertools.count().__next__)


def drive(full, batches=((1, 2), (3, 4), (5,))):
    return Drive(list(batches), None, len, full)


@pytest.mark.parametrize("full", [2, None])
def test_each_batch_has_its_wait_and_its_samples(full):
    """Read: begin 0, iter 1-2, first batch 3, ready 4, then one reading per batch; two at the end of each epoch."""
    trace = drive(full).run(Extent(5.0)).as_lists()
    assert trace["wait"] == [3, 1, 1, 3, 1, 1][: len(trace["wait"])]
    assert trace["samples"] == [2, 2, 1, 2, 2, 1][: len(trace["wait"])]
    assert trace["step"] == [0] * len(trace["wait"])
    assert (trace["epoch"], trace["openings"], trace["tails"]) == ([0, 0, 0, 1], [(0, 1), (1, 1)], [(0, 1)])


def test_the_step_is_separate_from_the_wait():
    """Each batch and each step take one reading; what is done with the first batch is not waited for."""
    ended = []
    trace = drive(2).run(Extent(3.0), step=ended.append, on_first=lambda: ended.append("first")).as_lists()
    assert (trace["wait"], trace["step"]) == ([3, 1, 1], [1, 1, 1])
    assert ended == [(1, 2), "first", (3, 4), (5,)]


def test_the_rest_of_an_epoch_is_counted_from_where_it_goes_on():
    """A second pass takes up the epoch that the first left."""
    one = drive(2)
    first, second = one.run(Extent(0.0)).as_lists(), one.run(Extent(0.0)).as_lists()
    assert (first["wait"], first["epoch"], first["samples"]) == ([3, 1], [0, 0], [2, 2])
    assert (second["openings"], second["epoch"][:1], second["samples"][:1]) == ([], [0], [1])


def test_an_epoch_without_batches_ends_at_once():
    """Nothing came, so nothing is recorded."""
    trace = drive(2, ()).run(Extent(3.0)).as_lists()
    assert (trace["wait"], trace["samples"], trace["epoch"]) == ([], [], [])
