"""The verdicts on a dataset that draws random numbers, and on digests made by hand.

Expected kinds were observed with torch 2.13: what changes the order, what changes the draws, what is unstable.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossimpl.loading.data.verdict import AUGMENTATION, ORDER, REPEATED, SAME, UNSTABLE, WRONG, judge
from lossimpl.loading.settings import Settings

BASE = Settings(batch_size=8, shuffle=True)
SEEDED = Settings(batch_size=8, shuffle=True, generator=0)

TABLE = [
    # dataset, reference, changed argument, kind, words of the reason
    pytest.param(*("good", BASE, {"num_workers": 1}, SAME, ""), marks=pytest.mark.slow),
    ("good", BASE, {"num_workers": 2}, SAME, ""),
    ("noise_torch", BASE, {"num_workers": 1}, ORDER, "the order from epoch 1"),
    pytest.param(*("noise_torch", SEEDED, {"num_workers": 1}, AUGMENTATION, "random draws"), marks=pytest.mark.slow),
    pytest.param(*("noise_torch", SEEDED, {"num_workers": 2}, AUGMENTATION, "random draws"), marks=pytest.mark.slow),
    pytest.param(*("noise_numpy", SEEDED, {"num_workers": 2}, AUGMENTATION, "random draws"), marks=pytest.mark.slow),
    pytest.param(*("noise_random", SEEDED, {"num_workers": 2}, AUGMENTATION, "random draws"), marks=pytest.mark.slow),
    pytest.param(*("good", BASE, {"num_workers": 2, "prefetch_factor": 4}, SAME, ""), marks=pytest.mark.slow),
    pytest.param(
        *("good", SEEDED, {"num_workers": 2, "persistent_workers": True}, ORDER, "the order from epoch 1"),
        marks=pytest.mark.slow,
    ),
    ("noise_cure", SEEDED, {"num_workers": 2}, SAME, ""),
    pytest.param(*("noise_unseeded", SEEDED, {"num_workers": 2}, UNSTABLE, "num_workers=0"), marks=pytest.mark.slow),
    ("Jitter", SEEDED, {"num_workers": 2, "in_order": False}, UNSTABLE, "the order"),
    ("noise_held", SEEDED, {"num_workers": 2}, REPEATED, "dataset.held is a generator that each worker copies"),
    ("ShardedStream", Settings(batch_size=8), {"num_workers": 2}, ORDER, "the order"),
    pytest.param(*("Stream", Settings(batch_size=8), {"num_workers": 2}, WRONG, "repetitions"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("dataset", "reference", "change", "kind", "words"), TABLE)
def test_each_argument_has_its_verdict(bench, dataset, reference, change, kind, words):
    """One argument is varied against num_workers=0, two fresh processes each."""
    made = bench(dataset)
    row = made.judge(made.blank(replace(reference, **change)), samples=64, against=reference)
    assert (row.verdict, words in row.verdict_reason) == (kind, True), row


@pytest.mark.slow
def test_start_methods_deliver_the_same(bench):
    """fork, forkserver and spawn: the same order and the same draws, as the table says."""
    fork = Settings(batch_size=8, num_workers=1, generator=0, shuffle=True)
    for context in ("forkserver", "spawn"):
        made = bench("noise_torch")
        row = made.judge(made.blank(replace(fork, multiprocessing_context=context)), samples=64, against=fork)
        assert row.verdict == SAME, row


def epoch(indices, samples=None, batches=None, planned=None, whole=True):
    """One epoch as the fingerprint writes it, of samples that are named after their index."""
    samples = samples or [f"s{index}" for index in indices]
    batches = batches or ["".join(samples[at : at + 2]) for at in range(0, len(samples), 2)]
    names = [str(index) for index in indices]
    return {"indices": names, "samples": samples, "batches": batches, "planned": planned, "whole": whole, "kinds": []}


REFERENCE = [[epoch([0, 1, 2, 3]), epoch([0, 1, 2, 3])]] * 2


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        ([epoch([0, 1, 2, 3]), epoch([0, 1, 2, 3])], SAME, ""),
        ([epoch([1, 0, 2, 3]), epoch([0, 1, 2, 3])], ORDER, "epoch 0"),
        ([epoch([0, 1, 2, 3]), epoch([3, 2, 1, 0])], ORDER, "epoch 1"),
        ([epoch([0, 1, 2]), epoch([0, 1, 2, 3])], WRONG, "3 samples"),
        ([epoch([0, 1, 2, 2]), epoch([0, 1, 2, 3])], WRONG, "1 samples missing, 1 too many"),
        ([epoch([0, 1, 2, 3], planned=8), epoch([0, 1, 2, 3])], WRONG, "len says 8"),
        ([epoch([0, 1, 2, 3], samples=list("abcd")), epoch([0, 1, 2, 3])], WRONG, "other bytes"),
        ([epoch([0, 1, 2, 3], batches=["x", "y"]), epoch([0, 1, 2, 3])], WRONG, "make other batches"),
    ],
)
def test_judge_tells_apart_what_digests_show(run, kind, words):
    """Made by hand: each run differs from the reference in one way."""
    found = judge([run, run], REFERENCE)
    assert (found.kind, words in found.reason) == (kind, True), found


def test_a_pair_of_runs_that_differ_is_unstable():
    """Two processes with the same settings delivered another order."""
    one = [epoch([1, 0, 2, 3]), epoch([0, 1, 2, 3])]
    other = [epoch([0, 1, 2, 3]), epoch([0, 1, 2, 3])]
    assert judge([one, other], REFERENCE).kind == UNSTABLE


def test_a_part_of_a_stream_that_repeats_itself_is_wrong():
    """Also when only the beginning of each epoch was looked at."""

    def part(samples):
        return epoch([""] * len(samples), samples=samples, whole=False)

    reference = [[part([f"s{number}" for number in range(40)])] * 2] * 2
    doubled = [[part([f"s{number // 2}" for number in range(40)])] * 2] * 2
    assert judge(doubled, reference).kind == WRONG
