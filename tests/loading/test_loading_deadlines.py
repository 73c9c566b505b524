"""How long jobs should take, from the costs of a dataset; expected values are worked out by hand from whole seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossimpl.loading import deadlines, growth
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection.result import Cost, Inspection, Machine
from lossimpl.loading.settings import Settings

COST = Cost(sample_seconds=1.0, dataset=8.0, transform=0.0, collate=0.0, tensors=1, bytes=0, samples=1, batch=8)
MACHINE = Machine(1 << 30, 1000, 2, 1, memory_bytes=1 << 30)
SEEN = Inspection(Outcome(), built=True, built_seconds=30.0, cost=COST, machine=MACHINE)
ONE = Settings(batch_size=8)


def test_a_timing_waits_for_construction_and_for_three_batches():
    """30 s to construct, three batches of 8 samples of 1 s, whatever the budget says."""
    assert deadlines.timing(ONE, SEEN, 0.2, imports=4.0) == pytest.approx(54, abs=0.5)
    assert deadlines.timing(ONE, SEEN, 100.0, imports=4.0) == pytest.approx(130, abs=0.5)


def test_workers_that_import_again_get_the_time_for_it():
    """Four workers on two cores import torch in 4 s each, in two epochs, unless they are kept."""
    spawn = Settings(batch_size=8, num_workers=4, multiprocessing_context="spawn")
    again = deadlines.timing(spawn, SEEN, 0.2, imports=4.0) - deadlines.timing(ONE, SEEN, 0.2, imports=4.0)
    kept = replace(spawn, persistent_workers=True)
    assert again == pytest.approx(2 * 1.5 * 4.0 * 2)
    assert deadlines.start(kept, 4.0, 2) == deadlines.start(spawn, 4.0, 2) == 12.0


def test_a_verdict_reads_as_many_samples_as_its_seconds_allow():
    """Four runs of two epochs; at least two batches, and the same for all settings of a batch size."""
    quick = replace(SEEN, cost=replace(COST, sample_seconds=0.0))
    assert deadlines.verdict_samples(ONE, SEEN, 10.0) == 16
    many = deadlines.verdict_samples(ONE, quick, 10.0)
    assert many == pytest.approx(10.0 / 8 / deadlines.DIGEST_SECONDS, rel=0.01)
    assert deadlines.verdict_samples(Settings(batch_size=8, num_workers=2), quick, 10.0) == many


def test_the_smallest_search_counts_every_process():
    """Two timings and four runs of a verdict, each of which constructs the dataset: more than six times 30 s."""
    assert 180 < deadlines.smallest_search(ONE, SEEN, 0.2, imports=4.0) < 600


def events(*values, name="descriptors", samples=100):
    """Events with a resource in use at each, and so many samples read between two of them."""
    return {
        one: {"memory": {name: value}, "trace": {"samples": [samples]}}
        for one, value in zip(growth.STEPS, values, strict=False)
    }


@pytest.mark.parametrize(
    ("values", "length", "words"),
    [
        ((10, 110, 210), 10_000, "open files grow by 1.00 per sample read: 10,010 in an epoch, of 1,000 allowed"),
        ((10, 110, 210), 100, ""),  # 110 of 1,000 at the end
        ((10, 110, 110), 10_000, ""),  # opened once, and no more
        ((10, 110, 210), None, "without end"),
        ((10, 12, 14), 10_000, ""),  # too few for a trend
    ],
)
def test_files_that_stay_open_are_counted_to_the_end_of_the_epoch(values, length, words):
    """One per sample, of 1,000 allowed."""
    found = growth.warnings(events(*values), 0, length, MACHINE)
    assert "; ".join(found) == words or (words and words in found[0])


def test_memory_that_grows_is_extrapolated_too():
    """100 KiB per sample, and 10,000 samples are most of 1 GiB; with 1,000 it does not matter."""
    grown = events(0, 100 * 102_400, 200 * 102_400, name="pss_bytes")
    assert (
        "memory grows by 100 KiB per sample read: 977 MiB in an epoch" in growth.warnings(grown, 0, 10_000, MACHINE)[0]
    )
    assert growth.warnings(grown, 0, 1000, MACHINE) == ()


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("KeepsFiles", "open files grow by"),
        ("KeepsSamples", "memory grows by"),
        ("loading_subtle:KeepsArrays", "memory grows by"),
        ("loading_subtle:Searches", "batches take longer and longer"),
    ],
)
def test_a_dataset_that_keeps_what_it_reads_is_warned_of(bench, dataset, words):
    """A million samples of which some hundred were read: a file, a megabyte, or a little more time for each."""
    row = bench(dataset).measure(ONE, budget=0.4, verdict_seconds=0)
    assert (row.status, words in " ".join(row.warnings)) == ("ok", True), row
    assert row.epoch_samples < row.length


def test_later_samples_that_cost_more_are_pointed_out(bench):
    """The first ones take nothing, those of the middle 50 ms."""
    found = [one for one in bench("Late").inspect(ONE).findings if one.check == "late samples"]
    assert [one.what.partition(" takes ")[0] for one in found] == ["sample 50000 of 100,000", "sample 99999 of 100,000"]
