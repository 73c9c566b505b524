"""Each kind of wrong or suspicious data by a dataset that has it, and each kind that only looks wrong.

The kinds come from trying the laboratory on other people's datasets: what it called the same and was not, and what it
called wrong and was not. Expected words name the cause as a reader would.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossimpl.loading.data.verdict import AUGMENTATION, BATCHES, ORDER, REPEATED, SAME, WRONG
from lossimpl.loading.settings import Settings

SLOW = pytest.mark.slow
ONE = Settings(batch_size=8)
TWO = Settings(batch_size=8, num_workers=2)
KEPT = replace(TWO, persistent_workers=True)
SINGLE = Settings(batch_size=8, num_workers=1)

WRONG_DATA = [
    # dataset, settings, verdict, words of the reason
    ("Reused", ONE, WRONG, "views of one buffer"),
    ("Reused", TWO, WRONG, "views of one buffer"),
    ("ReusedDict", TWO, WRONG, "views of one buffer"),
    ("OneShot", ONE, WRONG, "cannot be read again"),
    ("OneShot", SINGLE, WRONG, "cannot be read again"),
    ("OneShotQueue", ONE, WRONG, "192, 0 samples"),
    ("LargeOneShot", ONE, WRONG, "cannot be read again"),
    ("seeded_alike", TWO, REPEATED, "workers 0 and 1 draw the same numbers, and every epoch"),
    ("seeded_alike", KEPT, REPEATED, "worker_init_fn seeds numpy.random"),
    ("seeded_by_worker", TWO, REPEATED, "every epoch repeats the draws of the first: worker_init_fn seeds random"),
    ("noise_held", TWO, REPEATED, "dataset.held is a generator that each worker copies"),
    ("noise_held", SINGLE, REPEATED, "every epoch repeats"),
    ("noise_held", KEPT, REPEATED, "workers 0 and 1 draw the same"),
    ("SelfSeeded", TWO, REPEATED, "workers 0 and 1 draw the same"),
    ("Epochs", KEPT, REPEATED, "never hear set_epoch"),
    ("InPlace", TWO, REPEATED, "changes data in place"),
    ("InPlace", replace(KEPT, shuffle=True, generator=0), REPEATED, "changes data in place"),
    ("rare_keys", TWO, WRONG, "samples have sample['box']"),
    ("collate_none", TWO, WRONG, "8 of 8 batches are None"),
    ("collate_sometimes_none", TWO, WRONG, "1 of 8 batches are None"),
    ("collate_empty", ONE, WRONG, "None or empty"),
    ("loading_subtle:ReusedMany", TWO, WRONG, "views of one buffer"),
    ("loading_subtle:ReusedRing", TWO, WRONG, "views of one buffer"),
    ("loading_subtle:GoesOn", ONE, WRONG, "cannot be read again"),
    ("loading_subtle:GoesOn", KEPT, WRONG, "cannot be read again"),
    ("loading_subtle:Endless", KEPT, WRONG, "repetitions"),
    ("loading_subtle:OfTheClass", KEPT, REPEATED, "dataset.generator is a generator that each worker copies"),
    ("loading_subtle:of_the_module", TWO, REPEATED, "loading_subtle.GENERATOR is a generator that each worker copies"),
    ("loading_subtle:collate_held", TWO, REPEATED, "collate_fn.generator is a generator that each worker copies"),
    ("loading_subtle:collate_seeded", KEPT, REPEATED, "worker_init_fn seeds torch alike"),
    ("loading_subtle:collate_no_rows", TWO, WRONG, "8 of 8 batches are None or empty"),
    ("loading_subtle:collate_only_none", TWO, WRONG, "8 of 8 batches are None or empty"),
]
RIGHT_DATA = [
    ("strings", TWO, SAME),
    ("string_arrays", TWO, SAME),
    ("mixed_integers", TWO, SAME),
    ("mixed_floats", TWO, SAME),
    ("rare_keys_joined", TWO, SAME),
    ("columns_joined", TWO, SAME),
    ("rows_joined", TWO, SAME),
    ("Epochs", TWO, SAME),
    ("InPlace", ONE, SAME),
    ("noise_held", replace(SINGLE, persistent_workers=True), SAME),
    ("noise_cure", KEPT, SAME),
    ("noise_numpy", TWO, AUGMENTATION),
    ("noise_torch", KEPT, AUGMENTATION),
    ("loading_subtle:StartsAgain", replace(SINGLE, persistent_workers=True), SAME),
    ("loading_subtle:without_dimensions", TWO, SAME),
    ("loading_subtle:optional_joined", TWO, SAME),
    ("loading_subtle:collate_torch", KEPT, AUGMENTATION),
]
QUICK = {
    "loading_subtle:ReusedMany",
    "loading_subtle:of_the_module",
    "loading_subtle:optional_joined",
    "Reused",
    "OneShot",
    "seeded_alike",
    "rare_keys",
    "InPlace",
    "Epochs",
    "strings",
    "columns_joined",
}


def slow_but_quick(cases):
    """The `QUICK` datasets with two workers run by default; all with `make test FULL=1`."""
    return [case if case[0] in QUICK and case[1] in (TWO, KEPT) else pytest.param(*case, marks=SLOW) for case in cases]


def judged(bench, dataset, settings, base=None, samples=64):
    """The row with its verdict."""
    made = bench(dataset)
    return made.judge(made.blank(settings), samples, against=base)


@pytest.mark.parametrize(("dataset", "settings", "kind", "words"), slow_but_quick(WRONG_DATA))
def test_data_that_must_not_be_used_are_named_with_their_cause(bench, dataset, settings, kind, words):
    """Never ranked, and the reason says what repeats, changes or is missing, and why."""
    row = judged(bench, dataset, settings, samples=256)
    assert (row.status, row.verdict, words in row.reason) == ("wrong-data", kind, True), row
    assert row.advice


@pytest.mark.parametrize(("dataset", "settings", "kind"), slow_but_quick(RIGHT_DATA))
def test_sound_data_are_never_wrong(bench, dataset, settings, kind):
    """Text of any length, NumPy's numbers beside Python's, columns, epochs that are heard."""
    row = judged(bench, dataset, settings)
    assert (row.status, row.verdict) == ("ok", kind), row


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(ONE, batch_size=9), "batches of 9 instead of 8 samples; the same samples in the same order"),
        (replace(ONE, batch_size=10, drop_last=True), "drop_last leaves out the last 4 samples"),
        (replace(TWO, batch_size=16), "batches of 16 instead of 8"),
    ],
)
def test_another_batch_size_is_named_as_what_it_is(bench, settings, words):
    """Neither missing samples nor another augmentation: 64 samples in other batches."""
    row = judged(bench, "good", settings, base=ONE)
    assert (row.status, row.verdict, words in row.verdict_reason) == ("ok", BATCHES, True), row


def test_a_collate_that_reuses_its_buffer_is_pointed_out(bench):
    """In one process a batch is used before the next is made: a warning, and no wrong data."""
    row = judged(bench, "collate_reused", ONE)
    assert (row.status, "reuses its buffer" in " ".join(row.notes)) == ("ok", True), row


def test_a_stream_that_every_worker_repeats_needs_sharding_not_another_length(bench):
    """`len` is right without workers, so it is not what is wrong."""
    row = judged(bench, "stream_with_length", TWO)
    assert (row.status, "get_worker_info" in row.advice) == ("wrong-data", True), row
    assert judged(bench, "ShardedStream", TWO).verdict == ORDER


def test_a_stream_that_goes_on_is_pointed_out(bench):
    """Without workers nothing is lost, but no epoch begins at the beginning."""
    row = judged(bench, "loading_subtle:Endless", ONE)
    assert (row.status, "goes on where the last one was left" in " ".join(row.notes)) == ("ok", True), row


@pytest.mark.parametrize(("dataset", "whole"), [("good", True), ("loading_subtle:KeepsArrays", False)])
def test_a_part_of_a_dataset_is_not_called_all_of_it(bench, dataset, whole):
    """64 samples were read: all of one dataset, a small part of the other."""
    row = judged(bench, dataset, ONE)
    assert (row.verdict_samples, row.verdict_whole) == (64, whole), row
