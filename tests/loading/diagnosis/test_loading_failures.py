"""Every failure ends with a status, a cause in words and advice, within its deadline, and leaves nothing behind.

The classes: workers that die, hang or misbehave; bad data; arguments that contradict each other; exhausted memory,
shared memory or descriptors. The `bench` fixture checks what is left.
"""

from __future__ import annotations

import time

import pytest

from lossimpl.loading.diagnosis.advice import diagnose
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.settings import Settings

ONE = Settings(batch_size=8)
TWO = Settings(batch_size=8, num_workers=2)
SPAWN = Settings(batch_size=8, num_workers=1, multiprocessing_context="spawn")
HANG_DEADLINE = 3.0

CASES = [
    # dataset, settings, status, words of the reason
    ("good", ONE, "ok", ""),
    ("good", TWO, "ok", ""),
    ("death_sigkill", ONE, "crashed", "SIGKILL"),
    ("death_sigkill", TWO, "crashed", "SIGKILL"),
    ("death_sigterm", TWO, "crashed", "worker died"),
    ("death_abort", TWO, "crashed", "SIGABRT"),
    ("death_exit0", ONE, "crashed", "exit code 0"),
    ("death_exit0", TWO, "crashed", "worker died"),
    ("death_exit3", TWO, "crashed", "exit code 3"),
    ("death_segfault", ONE, "crashed", "SIGSEGV"),
    ("death_segfault", TWO, "crashed", "SIGSEGV"),
    ("death_kill_parent", ONE, "crashed", "killed"),
    ("death_kill_parent", TWO, "crashed", "SIGKILL"),
    ("death_system_exit", ONE, "error", "SystemExit"),
    ("death_system_exit", TWO, "crashed", "worker died"),
    ("death_interrupt", ONE, "error", "KeyboardInterrupt"),
    ("death_interrupt", TWO, "crashed", "worker died"),
    ("error_value_error", ONE, "error", "bad pixel"),
    ("error_value_error", TWO, "error", "bad pixel"),
    ("error_index_error", TWO, "error", "should exist"),
    ("error_key_error", TWO, "error", "label"),
    ("error_os_error", TWO, "error", "picture.png"),
    ("error_refusal", TWO, "error", "Refusal"),
    ("error_recursion", TWO, "error", "too deep"),
    ("error_no_memory", ONE, "error", "memory"),
    ("error_no_memory", TWO, "error", "memory"),
    ("error_no_descriptors", ONE, "error", "descriptor"),
    ("error_no_descriptors", TWO, "error", "descriptor"),
    ("error_shared_memory", TWO, "crashed", "shared memory"),
    ("odd_stop_iteration", ONE, "wrong-data", "32 samples delivered where len says 64"),
    ("odd_stop_iteration", TWO, "wrong-data", "samples delivered where len says 64"),
    ("odd_close_descriptors", TWO, "crashed", "worker died"),
    ("odd_flood", TWO, "ok", ""),
    ("odd_fork_and_stay", ONE, "ok", ""),
    ("odd_fork_and_stay", TWO, "ok", ""),
    ("empty", ONE, "error", "no data"),
    ("empty", TWO, "error", "no data"),
    ("ragged", ONE, "error", "ragged"),
    ("ragged", TWO, "error", "ragged"),
    ("ragged_arrays", ONE, "error", "ragged"),
    ("ragged_lists", ONE, "error", "number of fields"),
    ("none", TWO, "error", "None"),
    ("sometimes_none", ONE, "error", "None"),
    ("none_dropped", ONE, "ok", ""),
    ("drifting_dtype", ONE, "wrong-data", "float64"),
    ("drifting_dtype", TWO, "wrong-data", "float64"),
    ("drifting_numbers", ONE, "wrong-data", "float"),
    ("drifting_rank", ONE, "error", "ragged"),
    ("drifting_keys", ONE, "error", "KeyError"),
    ("strange_type", TWO, "error", "type"),
    ("length_too_long", ONE, "error", "should exist"),
    ("length_negative", ONE, "error", "__len__"),
    ("length_fraction", ONE, "error", "integer"),
    ("Stream", ONE, "ok", ""),
    ("Stream", TWO, "wrong-data", "128 samples delivered where num_workers=0 delivers 64"),
    ("ShardedStream", TWO, "ok", ""),
    ("LosingStream", TWO, "wrong-data", "32 samples"),
    ("lying_short", TWO, "wrong-data", "64 samples delivered where len says 56"),
    ("lying_long", ONE, "wrong-data", "64 samples delivered where len says 72"),
    ("EmptyStream", ONE, "error", "no data"),
    ("EmptyStream", TWO, "error", "no data"),
    ("EndlessStream", TWO, "ok", ""),
    ("BadGenerator", TWO, "error", "StopIteration"),
    ("Repeating", TWO, "wrong-data", "other bytes"),
    ("DiesInBuild", ONE, "crashed", "exit code 7"),
    ("RaisesInBuild", TWO, "error", "the archive is damaged"),
    ("WorkerOnly", TWO, "error", "only in a worker"),
    ("init_death", TWO, "crashed", "SIGKILL"),
    ("init_error", TWO, "error", "no device for worker"),
    ("collate_error", ONE, "error", "cannot join"),
    ("collate_error", TWO, "error", "cannot join"),
    ("sampler_beyond", ONE, "error", "should exist"),
    ("bad_sampler", ONE, "invalid", "int"),
    ("not_a_dataset", ONE, "error", "expected a Dataset"),
    ("needs_argument", ONE, "error", "path"),
    ("death_kill_group", TWO, "crashed", "SIGKILL"),
    ("death_not_an_exception", TWO, "crashed", "worker died"),
    ("death_not_an_exception", ONE, "error", "stop"),
    ("error_speechless", ONE, "error", "Speechless"),
    ("error_speechless", TWO, "error", "Speechless"),
    ("error_disk_full", ONE, "error", "cache.bin"),
    ("odd_close_output", ONE, "ok", ""),
    ("odd_close_output", TWO, "ok", ""),
    ("init_arity", TWO, "error", "argument"),
    ("empty_batch", Settings(batch_size=1), "error", "Index"),
    ("NoIterator", ONE, "error", "int"),
    ("LengthRaises", ONE, "error", "the index is gone"),
    ("ShortWorkers", TWO, "wrong-data", "32 samples delivered where len says 64"),
    ("ReadsInput", ONE, "error", "asks for input"),
    ("ReadsInput", TWO, "error", "asks for input"),
    ("OfAGraph", ONE, "ok", ""),
    ("SharedHandle", ONE, "ok", ""),
    ("SharedHandle", TWO, "wrong-data", "other bytes"),
    ("LengthChanges", TWO, "wrong-data", "samples delivered where len says"),
    ("LengthRaisesOverflow", ONE, "error", "OverflowError"),
    ("Warns", TWO, "ok", ""),
    ("Children", TWO, "error", "daemonic"),
    ("DiesInWorker", TWO, "crashed", "exit code 0"),
    ("NoShards", TWO, "error", "no shards"),
    ("sampler_lying", TWO, "wrong-data", "64 samples delivered where len says 73"),
    ("sampler_raising", TWO, "error", "the sampler broke"),
    ("batch_beyond", Settings(batch_size=1, num_workers=2), "error", "should exist"),
    ("batches_flat", Settings(batch_size=1), "error", "not iterable"),
    ("sparse", TWO, "error", "sparse"),
    ("on_cuda", TWO, "error", "CUDA"),
    ("a_class", ONE, "error", "expected a Dataset"),
    ("a_generator", TWO, "error", "expected a Dataset"),
    ("a_list", TWO, "ok", ""),
    ("init_exit", TWO, "crashed", "exit code 5"),
    ("not_callable", TWO, "error", "not callable"),
    ("epoch_raises", ONE, "error", "no such epoch"),
    ("no_such_module:factory", ONE, "error", "no_such_module"),
    ("no_such_factory", ONE, "error", "no_such_factory"),
]

HANGS = [
    ("odd_hang", ONE, "wait_forever"),
    ("odd_hang", TWO, "wait_forever"),
    ("odd_sleep", ONE, "loading_faults.py"),
    ("HangsInWorker", TWO, "wait_forever"),
    ("HangsInBuild", ONE, "wait_forever"),
    ("HangsAtExit", ONE, "did not end"),
    ("LeavesThread", ONE, "did not end"),
    ("odd_ignore_signals", TWO, "wait_forever"),
    ("collate_unsendable", TWO, "cannot be sent"),
    ("init_hang", TWO, "wait_forever"),
    ("collate_hang", TWO, "wait_forever"),
    ("OfAGraph", TWO, "cannot be sent"),
    ("HoldsLock", TWO, "__getitem__"),
]

INVALID = [
    ("good", {"prefetch_factor": 2}, "prefetch_factor"),
    ("good", {"num_workers": 2, "prefetch_factor": 0}, "prefetch_factor"),
    ("good", {"num_workers": 2, "prefetch_factor": -1}, "prefetch_factor"),
    ("good", {"persistent_workers": True}, "persistent_workers"),
    ("good", {"multiprocessing_context": "fork"}, "multiprocessing_context"),
    ("good", {"num_workers": 1, "multiprocessing_context": "thread"}, "multiprocessing_context"),
    ("good", {"num_workers": -1}, "num_workers"),
    ("good", {"batch_size": 0}, "batch_size"),
    ("good", {"batch_size": -3}, "batch_size"),
    ("good", {"batch_size": None, "drop_last": True}, "drop_last"),
    ("good", {"num_workers": 1, "timeout": -1.0}, "timeout"),
    ("good", {"num_workers": 1, "timeout": float("nan")}, "timeout"),
    ("good", {"timeout": 5.0}, "timeout"),
    ("good", {"batch_size": 100, "drop_last": True}, "drop_last"),
    ("good", {"shuffle": True, "generator": 2**70}, "generator"),
    ("with_sampler", {"shuffle": True}, "sampler"),
    ("with_batch_sampler", {"batch_size": 4}, "batch_sampler"),
    ("with_batch_sampler", {"batch_size": 1, "shuffle": True}, "shuffle"),
    ("with_batch_sampler", {"batch_size": 1, "drop_last": True}, "drop_last"),
    ("both_samplers", {"batch_size": 1}, "sampler"),
    ("Stream", {"shuffle": True}, "shuffle"),
]


def slow_but(cases, quick):
    """Only the `quick` ones run by default: one of each class; all run with `make test FULL=1`."""
    return [
        case if case[0] in quick and case[1] is not ONE else pytest.param(*case, marks=pytest.mark.slow)
        for case in cases
    ]


QUICK = (
    "death_sigkill",
    "death_exit0",
    "error_refusal",
    "error_no_memory",
    "error_no_descriptors",
    "error_shared_memory",
    "odd_stop_iteration",
    "ragged",
    "drifting_dtype",
    "Stream",
    "lying_short",
    "EmptyStream",
    "init_error",
)


@pytest.mark.parametrize(("dataset", "settings", "status", "words"), slow_but(CASES, QUICK))
def test_failures_end_with_their_status_and_cause(bench, dataset, settings, status, words):
    """The right status, the cause in the reason, and advice for whoever reads it."""
    row = bench(dataset).measure(settings, budget=0.05)
    assert (row.status, words in row.reason) == (status, True), row
    assert status == "ok" or row.advice


@pytest.mark.parametrize(("dataset", "settings", "words"), slow_but(HANGS, ("init_hang", "HangsInWorker")))
def test_hangs_end_at_the_deadline_and_name_the_place(bench, dataset, settings, words):
    """A hang of any part is a timeout, and the reason names the function that hangs where Python knows it."""
    started = time.perf_counter()
    row = bench(dataset, deadline=HANG_DEADLINE).measure(settings, budget=0.05)
    assert (row.status, words in row.reason) == ("timeout", True), row
    assert time.perf_counter() - started < 3 * HANG_DEADLINE + 5


@pytest.mark.parametrize(("dataset", "changes", "words"), INVALID)
def test_arguments_that_contradict_are_invalid_and_not_run(bench, dataset, changes, words):
    """Each is refused with the argument's name, before a loader is made."""
    row = bench(dataset).measure(Settings(**{"batch_size": 8, **changes}), budget=0.05)
    assert (row.status, words in row.reason) == ("invalid", True), row


def test_the_argument_timeout_is_distinguished_from_our_own_deadline(bench):
    """A hang that DataLoader itself notices names its own argument."""
    row = bench("HangsInWorker", deadline=30.0).measure(Settings(batch_size=8, num_workers=1, timeout=1.0), budget=0.05)
    assert (row.status, "`timeout` argument" in row.reason) == ("timeout", True), row


@pytest.mark.slow
def test_unpicklable_under_spawn_is_an_error_and_works_under_fork(bench):
    """Only the start methods that pickle refuse it."""
    assert bench("Unpicklable").measure(TWO, budget=0.05).status == "ok"
    row = bench("Unpicklable").measure(SPAWN, budget=0.05)
    assert (row.status, "cannot be sent" in row.reason) == ("error", True), row


def test_a_file_that_a_dead_worker_took_along_counts_as_its_death():
    """A worker that ends well takes the socket of its batch along; the dataset's own missing file stays that."""
    away = {"event": "error", "type": "FileNotFoundError", "in_worker": False, "phase": "first batch"}
    trace = 'Traceback (most recent call last):\n  File "{}", line 1, in f\nFileNotFoundError: [Errno 2] No such file\n'

    def status(file):
        error = {**away, "trace": trace.format(file), "frames": [[file, 1, "f"]]}
        return diagnose(Outcome((error,), exit=0)).status

    assert status("/usr/lib/python3.11/multiprocessing/connection.py") == "crashed"
    assert status("/home/someone/dataset.py") == "error"
