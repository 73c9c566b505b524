"""Samples and exceptions of an unusual kind end with a status, the place in the sample or in the code, and advice.

The classes of `loading_samples`: what torch's collate cannot join, what no process can be sent, what has no data; and
exceptions that torch cannot make anew, that hold others, or that are no `Exception`.
"""

from __future__ import annotations

import traceback

import pytest
from loading_samples import RAISERS, SAMPLES, chained, group, nested_group

from lossimpl.loading.diagnosis.raised import LONGEST, describe
from lossimpl.loading.inspection import obstacles
from lossimpl.loading.settings import Settings

ONE = Settings(batch_size=8)
TWO = Settings(batch_size=8, num_workers=2)
HANG_DEADLINE = 6.0
REFUSED = {
    # sample: (path, words)
    "meta": ("['image']", "a meta tensor"),
    "meta_bare": ("", "a meta tensor"),
    "sparse": ("[0]", "a sparse tensor"),
    "sparse_csr": ("[0]", "a sparse tensor"),
    "sparse_once": ("", "a sparse tensor"),
    "meta_once": ("[0]", "a meta tensor"),
    "quantised": ("[0]", "a quantised tensor"),
    "nested": ("", "a nested tensor"),
    "leaf": ("['image']", "autograd graph"),
    "graph": ("['image']", "autograd graph"),
    "objects": ("[0]", "dtype object"),
    "generator": ("[0]", "list_iterator"),
    "function": ("['transform']", "a function"),
    "open_file": ("['file']", "BufferedReader"),
    "lock": ("[0]", "lock"),
    "socket": ("[0]", "socket"),
    "database": ("[0]", "Connection"),
    "module": ("[0]", "Linear"),
    "record": ("", "a dataclass of type Record"),
    "enum": ("[0]", "Colour"),
    "slotted": ("[0]", "Slotted"),
    "path": ("['path']", "PosixPath"),
    "date": ("[0]", "date"),
    "datetime64": ("", "datetime64"),
    "decimal": ("[0]", "Decimal"),
    "fraction": ("", "Fraction"),
    "set": ("[0]", "set"),
    "structured": ("['row']", "a structured array"),
    "strings": ("", "dtype <U2"),
    "complex": ("[1]", "complex"),
    "longdouble": ("", "dtype"),
    "huge_int": ("[0]", "64 bits"),
    "itself": ("[1]", "holds itself"),
    "deep": ("[0][0]", "too deeply"),
    "default": ("", "default_factory"),
    "io": ("[0]", "BytesIO"),
    "exception": ("", "ValueError"),
    "none_inside": ("['image']", "None"),
}
UNSENDABLE = ("leaf", "graph", "default")  # the worker's last word is lost and the loader waits forever
FINE_ALONE = ("quantised", *UNSENDABLE)  # nothing is sent anywhere without workers
FINE = sorted(set(SAMPLES) - set(REFUSED))

RAISED = [
    # raiser, words of the reason for each of num_workers=0 and 2
    ("group", "ValueError: bad header (in decode, loading_samples.py"),
    ("group", "KeyError: 'label' (in look_up, loading_samples.py"),
    ("nested_group", "OSError: [Errno 5] I/O error: 'a.bin'"),
    ("chained", "caused by ValueError: bad header (in decode, loading_samples.py"),
    ("while_handling", "raised while handling ValueError: bad header"),
    ("huge", "Chatty: pixel pixel"),
    ("huge_word", "Chatty: xxx"),
    ("worded", "a.png has code 3 (in act, loading_samples.py"),
    ("holding", "lock held (in act, loading_samples.py"),
    ("many_lines", "sizes differ: weight bias"),
    ("silent", "ValueError (in act, loading_samples.py"),
    ("bytes_message", "b'\\xff\\x00'"),
    ("surrogate", "name (in act, loading_samples.py"),
    ("warning", "UserWarning: truncated picture (in warn_as_error, loading_samples.py"),
    ("recursion", "(in recurse, loading_samples.py"),
    ("assertion", "AssertionError: shape"),
    ("stop_async", "StopAsyncIteration: over"),
]
DIED = [
    # raiser, words of the reason with workers; each ends the process itself without them
    ("base_group", "ValueError: bad header"),
    ("generator_exit", "GeneratorExit: stop"),
    ("exit_text", "exit code 1"),
    ("exit_true", "exit code 1"),
    ("exit255", "exit code 255"),
    ("bus", "SIGBUS"),
    ("quit", "SIGQUIT"),
    ("user", "SIGUSR2"),
    ("timer", "SIGALRM"),
    ("floating", "SIGFPE"),
    ("illegal", "SIGILL"),
]
QUICK = ("meta_once", "graph", "group", "base_group", "illegal")


def slow_but_quick(cases):
    """One of each class runs by default; all run with `make test FULL=1`."""
    return [case if case[0] in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(("name", "path", "words"), slow_but_quick((name, *found) for name, found in REFUSED.items()))
def test_what_cannot_be_delivered_is_named_by_its_path_in_the_sample(bench, name, path, words):
    """With workers: an error, or a timeout where torch itself waits forever; the reason begins with the place."""
    deadline = HANG_DEADLINE if name in UNSENDABLE else 60.0
    row = bench(f"loading_samples:sample_{name}", deadline=deadline).measure(TWO, budget=0.05)
    number = 37 if name.endswith("_once") else 0
    assert row.status == ("timeout" if name in UNSENDABLE else "error"), row
    assert (row.reason.startswith(f"sample {number}{path}"), words in row.reason) == (True, True), row
    assert row.advice


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(REFUSED) - set(FINE_ALONE)))
def test_the_same_without_workers(bench, name):
    """What has no data or cannot be joined fails in one process too."""
    row = bench(f"loading_samples:sample_{name}").measure(ONE, budget=0.05)
    assert (row.status, REFUSED[name][1] in row.reason) == ("error", True), row


@pytest.mark.slow
@pytest.mark.parametrize("name", FINE)
def test_what_torch_can_join_is_delivered(bench, name):
    """Unusual but sound samples are no failure: their digests agree with those of one process."""
    row = bench(f"loading_samples:sample_{name}").measure(TWO, budget=0.05)
    assert (row.status, row.verdict) == ("ok", "bitwise same"), row


@pytest.mark.parametrize(("name", "words"), slow_but_quick(RAISED))
def test_an_exception_tells_its_place_its_causes_and_its_members(bench, name, words):
    """The same words with and without workers, although torch sends text alone."""
    for settings in (ONE, TWO):
        row = bench(f"loading_samples:raise_{name}").measure(settings, budget=0.05)
        assert (row.status, words in row.reason) == ("error", True), row
        assert len(row.reason) < 4 * LONGEST


@pytest.mark.parametrize(("name", "words"), slow_but_quick(DIED))
def test_what_ends_a_worker_is_named(bench, name, words):
    """Signals by name, exit codes, and exceptions that torch does not catch by what `multiprocessing` prints."""
    row = bench(f"loading_samples:raise_{name}").measure(TWO, budget=0.05)
    assert (row.status, words in row.reason) == ("crashed", True), row


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(("workers", "keep"), [(1, False), (4, True)])
@pytest.mark.parametrize(("dataset", "words"), [("init_death", "SIGKILL"), ("death_abort", "SIGABRT")])
def test_the_signal_is_named_however_the_loader_hears_of_it(bench, dataset, words, workers, keep, method):
    """Before the workers are watched, while `iter` starts the others, and when the queue breaks first."""
    settings = Settings(batch_size=8, num_workers=workers, persistent_workers=keep, multiprocessing_context=method)
    for _ in range(2):
        row = bench(dataset).measure(settings, budget=0.05)
        assert (row.status, words in row.reason) == ("crashed", True), row


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("dataset", "words"), [("shutdown_death", "SIGABRT"), ("DiesLater", "SIGKILL")])
def test_a_worker_that_dies_after_its_last_sample_is_seen(bench, dataset, words, keep):
    """Between epochs and at the very end, where torch's own error is lost in a destructor."""
    settings = Settings(batch_size=8, num_workers=1, persistent_workers=keep)
    row = bench(f"loading_samples:{dataset}").measure(settings, budget=0.05)
    assert (row.status, words in row.reason) == ("crashed", True), row


@pytest.mark.parametrize("act", [group, nested_group, chained])
def test_a_traceback_reads_the_same_from_a_worker(act):
    """The wrapper that torch puts around the text of a worker changes nothing."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  (any: it is only printed)
        act()
    text = "".join(traceback.format_exception(caught.value))
    wrapped = f"RuntimeError: Caught {type(caught.value).__name__} in DataLoader worker process 0.\nOriginal {text}"
    described = describe(text, lambda file: "loading_samples" not in file)
    assert "ValueError: bad header (in decode" in described
    assert describe(wrapped, lambda file: "loading_samples" not in file) == described


def test_every_sample_and_every_raiser_is_in_a_matrix():
    """None is forgotten, and in sound samples nothing is found."""
    assert set(REFUSED) <= set(SAMPLES)
    assert set(RAISERS) == {one[0] for one in (*RAISED, *DIED)} | {"local_class", "pipe"}
    assert {name for name in FINE if obstacles.of_samples([SAMPLES[name](3)])} == set()


@pytest.mark.slow
def test_an_exception_that_cannot_be_sent_is_a_hang_that_names_its_class(bench):
    """torch's worker loses it without a word to the loader, which waits forever."""
    row = bench("loading_samples:raise_local_class", deadline=HANG_DEADLINE).measure(TWO, budget=0.05)
    assert (row.status, "local_class.<locals>.Hidden" in row.reason) == ("timeout", True), row


@pytest.mark.slow
def test_a_broken_pipe_signal_is_ignored_as_python_does(bench):
    """Python sets SIGPIPE aside at its start."""
    assert bench("loading_samples:raise_pipe").measure(TWO, budget=0.05).status == "ok"
