"""Causes that are easily misread: what looks like shared memory, a hang or our own code, and is not.

The first part runs datasets that have them; the second reads outcomes as jobs record them.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossimpl.loading.diagnosis.advice import BY_SIGNAL, LESS_SHARED, LIBRARY, diagnose
from lossimpl.loading.diagnosis.raised import describe
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.settings import Settings

SLOW = pytest.mark.slow
ONE = Settings(batch_size=8)
TWO = Settings(batch_size=8, num_workers=2)
CAUSES = [
    # dataset, settings, status, words of the reason, words of the advice
    ("ShortMap", TWO, "crashed", "SIGBUS", "memory-mapped file that was made shorter"),
    pytest.param("ShortMap", ONE, "crashed", "SIGBUS", "memory-mapped file that was made shorter", marks=SLOW),
    ("LeaksFiles", ONE, "error", "no file descriptor is left", "ulimit -n"),
    ("LeaksFiles", TWO, "error", "no file descriptor is left", "ulimit -n"),
    ("death_exit3", TWO, "crashed", "exit code 3", "find what ends the process"),
    pytest.param("death_exit3", ONE, "crashed", "exit code 3", "find what ends the process", marks=SLOW),
    ("columns", ONE, "error", "`__getitems__` does not return a list of samples", "collate_fn that takes columns"),
    pytest.param("columns", TWO, "error", "`__getitems__` does not", "collate_fn that takes columns", marks=SLOW),
    ("LoaderInside", TWO, "error", "starts processes inside a worker", "num_workers=0 for the loader inside"),
    ("Markup", ONE, "error", "[bold]not markup[/] :fire: [/red]", "check the line that is named"),
    ("exits", ONE, "error", "the dataset ended the process: SystemExit: goodbye", "ordinary exception"),
    ("loading_subtle:ColumnPair", ONE, "error", "`__getitems__` does not return a list of samples", "columns"),
    (
        "loading_subtle:LazyMany",
        TWO,
        "error",
        "`__getitems__` does not return a list of samples",
        "a list of one sample",
    ),
    ("loading_subtle:rare_inner_key", TWO, "error", "only some samples have this key: KeyError: 'm'", "the same keys"),
    ("loading_subtle:fields_vary", TWO, "error", "differ in their number of fields", "as many fields"),
    ("loading_subtle:Refused", TWO, "error", "ConnectionRefusedError", "check the line that is named"),
    ("loading_subtle:Refused", ONE, "error", "ConnectionRefusedError", "check the line that is named"),
    ("loading_subtle:Truncated", TWO, "error", "EOFError: Compressed file ended", "check the line that is named"),
    ("ChangesFolder", TWO, "ok", "", ""),
    ("InstallsHandlers", TWO, "ok", "", ""),
    ("Odd", TWO, "ok", "", ""),
]


@pytest.mark.parametrize(("dataset", "settings", "status", "reason", "advice"), CAUSES)
def test_the_cause_is_named_and_not_what_it_resembles(bench, dataset, settings, status, reason, advice):
    """By a dataset that has it; those that are merely odd are measured."""
    row = bench(dataset).measure(settings, budget=0.05)
    assert (row.status, reason in row.reason, advice in row.advice) == (status, True, True), row
    if dataset in ("ShortMap", "death_exit3"):
        assert row.advice not in (LESS_SHARED, BY_SIGNAL)


@pytest.mark.parametrize("dataset", ["Odd", "InstallsHandlers", "ChangesFolder"])
def test_an_inspection_of_odd_objects_keeps_what_it_finds(bench, dataset):
    """`__class__` that raises, attributes that raise, a property that makes new objects; the job's own signals."""
    seen = bench(dataset).inspect(ONE)
    assert (seen.built, seen.facts.length, seen.outcome.phase) == (True, 64, "exit")
    assert seen.cost is not None
    if dataset == "Odd":
        assert "dataset.rng holds a Generator" in " ".join(one.what for one in seen.findings)


@pytest.mark.parametrize(("dataset", "found"), [("Logs", []), ("HoldsOdd", ["dataset.file is an open GzipFile"])])
def test_loggers_are_no_obstacle_and_odd_lists_hide_nothing(bench, dataset, found):
    """The locks of a logger are made anew after a fork; a list that raises stands before an open file."""
    seen = bench(f"loading_subtle:{dataset}").inspect(ONE)
    words = [one.what for one in seen.findings if one.check in ("lock", "open handle", "inspection")]
    assert [one.startswith(due) for one, due in zip(words, found, strict=True)] == [True] * len(found), words


@pytest.mark.slow
def test_a_hang_is_seen_though_the_dataset_took_the_signals(bench):
    """The deadline needs none of the job's handlers."""
    row = bench("HangsWithHandlers", deadline=3.0).measure(ONE, budget=0.05)
    assert row.status == "timeout", row


def ended(**fields):
    """The outcome of a job with two workers that failed in its first batch, and how these ended."""
    workers = {"event": "workers", "workers": [{"exit": code} for code in fields.pop("codes", ())]}
    error = {"event": "error", "type": "RuntimeError", "in_worker": False, "phase": "first batch", "frames": []}
    error |= {"trace": "RuntimeError: DataLoader worker (pid 1) is killed by signal: Bus error. ", "shared_free": 0}
    return replace(Outcome((workers, {**error, **fields}), exit=1), output=fields.pop("output", ""))


def test_a_bus_error_is_lack_of_shared_memory_only_where_there_is_little():
    """64 MiB and more are enough; a place in the user's code is no place in torch's collate."""
    stack = 'Fatal Python error: Bus error\n\n  File "{}", line 3 in __getitem__\n'
    inside = stack.format("/usr/lib/python3/site-packages/torch/utils/data/_utils/collate.py")
    own = stack.format("/home/someone/dataset.py")
    assert "shared memory is exhausted" in diagnose(ended(codes=(-7,), output=inside)).reason
    assert "shared memory" not in diagnose(ended(codes=(-7,), output=inside, shared_free=1 << 30)).reason
    assert "shared memory" not in diagnose(ended(codes=(-7,), output=own)).reason


def test_openmp_after_a_fork_is_named():
    """GNU OpenMP says so before it ends the worker; a hang of LLVM's gets the advice of hangs."""
    said = "Terminating: fork() called from a process already using GNU OpenMP, this is unsafe.\n"
    trace = f"RuntimeError: {said}"
    found = diagnose(ended(codes=(1,), trace=trace))
    assert (found.status, "OpenMP was used before the workers were forked" in found.reason) == ("crashed", True)
    hung = diagnose(Outcome(({"event": "phase", "name": "first batch"},), timed_out=True, output=said, deadline=9.0))
    assert "OpenMP was used before" in hung.reason


def test_a_slow_start_accuses_nobody():
    """No stack shows any code of the user's: the workers had not started."""
    found = diagnose(Outcome(({"event": "phase", "name": "first batch"},), timed_out=True, deadline=9.0))
    assert (found.status, "the workers had not started" in found.reason) == ("timeout", True)
    assert "hang" not in found.reason + found.advice
    cut = diagnose(replace(Outcome(({"event": "phase", "name": "build"},), timed_out=True, deadline=9.0), cut=True))
    assert (cut.cut, "the budget ended after 9 s" in cut.reason) == (True, True)


@pytest.mark.parametrize(
    ("file", "foreign"),
    [
        ("/x/.venv/lib/python3.11/site-packages/h5py/_hl/files.py", True),
        ("/usr/lib/python3/dist-packages/numpy/core.py", True),
        ("/usr/lib/python3.11/zipfile.py", True),
        ("/x/site-packages/lossimpl/loading/harness/job.py", True),
        ("/x/site-packages/lossimpl/loading/datasets/sqlite.py", False),
        ("/home/someone/dataset.py", False),
        ("/home/someone/library/data.py", False),
    ],
)
def test_installed_packages_are_foreign_code(file, foreign):
    """All of site-packages, the standard library, and this package but for its datasets."""
    assert bool(LIBRARY.search(file)) == foreign


def test_the_place_of_an_exception_is_in_the_users_code():
    """Beneath it a package raises; where nothing else is known, the package is better than no place."""
    own = '  File "/home/me/data.py", line 7, in read\n    ...\n'
    package = '  File "/x/site-packages/h5py/f.py", line 9, in g\n'
    traces = [f"Traceback (most recent call last):\n{frames}OSError: bad\n" for frames in (own + package, package)]
    assert describe(traces[0], LIBRARY.search) == "OSError: bad (in read, data.py:7)"
    assert describe(traces[1], LIBRARY.search) == "OSError: bad (in g, f.py:9)"
