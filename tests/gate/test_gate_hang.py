"""Rows that hang: a worker that never answers, a loader that never delivers, children that outlive their parents."""

import sys
import time
from pathlib import Path

import psutil
import pytest
from toy import LOADER, Toy, verdicts

from lossimpl.building import clean_environment
from reports.gate import family, instructions, processes
from reports.gate.draft import Plan
from reports.gate.processes import ask
from reports.gate.run import compare

# A loader's worker in a session of its own that ignores SIGTERM, and one whose parent has ended or hangs.
STUCK = """
import os, signal, subprocess, sys, time

deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(86_421)"
subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    time.sleep(86_421)
"""


def survivors():
    """Running processes that sleep for the time that only these tests use."""
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"86_421" in (folder / "cmdline").read_bytes():
                left.append(folder.name)
        except OSError:
            continue
    return left


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_DRAWS", str(tmp_path / "draws"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(instructions, "unavailable", lambda: "the clock is simulated")
    return Toy(tmp_path / "project")


def suite(folder, body):
    """A suite with one loader row, whose method runs `body`."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").write_text("")
    lines = "".join(f"        {line}\n" for line in body.strip().splitlines())
    (folder / "benchmarks" / "loading.py").write_text(
        f"class Loading:\n    params = ((0,),)\n\n    def track_seconds_per_sample(self, workers):\n{lines}"
    )
    (folder / "benchmarks" / "calls.py").write_text("def ready(*row):\n    return int\n")
    return {
        "task": "check",
        "roots": [],
        "suite": str(folder),
        "rows": [["loading.Loading.track_seconds_per_sample", [0]]],
    }


def test_a_loader_that_hangs_on_one_side_is_a_named_fault_and_its_children_are_gone(toy, tmp_path, monkeypatch):
    """Head's loader with two workers hangs: a timeout that names row and side; five rows measured; exit 2."""
    toy.write("benchmarks/loading.py", LOADER)
    toy.base = toy.commit("Measure loaders")
    hang = f'    if params[1] == 2:\n        exec({STUCK!r})\n        __import__("time").sleep(86_421)\n    return'
    toy.replace("toy/__init__.py", "def loaded(*params):\n    return", f"def loaded(*params):\n{hang}")
    toy.commit("Hang with two workers")
    (tmp_path / "work").mkdir()
    started = time.monotonic()
    outcome = compare(Plan(toy.folder, toy.base, "HEAD", budget=320.0, silence=12.0), tmp_path / "work")
    assert time.monotonic() - started < 240
    (fault,) = outcome.faults
    assert (fault.row, fault.side) == ("loading.Loading.track_seconds_per_sample('digits', 2, False)", "head")
    assert fault.text == "timeout: no answer for 12 s"
    assert len(outcome.rows) == 5
    assert set(verdicts(outcome).values()) == {"same"}
    assert (outcome.exit_code, survivors()) == (2, [])


@pytest.mark.parametrize(
    ("then", "kind"),
    [("import time; time.sleep(86_421)", "timeout"), ("os._exit(3)", "crashed"), ("os.abort()", "crashed")],
)
def test_what_a_row_started_ends_with_its_worker(tmp_path, then, kind):
    """Orphans in sessions of their own: one ignores SIGTERM, one was forked with the worker's pipe still open."""
    started = time.monotonic()
    answers = ask([sys.executable], suite(tmp_path, f"{STUCK}\n{then}"), clean_environment({}), silence=2.0)
    assert (answers.failure.kind, str(answers.failure.row)) == (kind, "loading.Loading.track_seconds_per_sample(0)")
    assert survivors() == []
    assert time.monotonic() - started < 2 + 3 + 5


def test_a_worker_that_cannot_exit_has_given_its_answers(tmp_path, monkeypatch):
    """At its end Python joins a thread that never ends; the answers count, and the process is killed."""
    monkeypatch.setattr(processes, "EXIT_SECONDS", 0.5)
    body = "import threading, time\nthreading.Thread(target=time.sleep, args=(86_421,)).start()\nreturn {}"
    answers = ask([sys.executable], suite(tmp_path, body), clean_environment({}), 20)
    assert answers.failure is None
    assert ["error" in answer for answer in answers.rows().values()] == [False]


def test_a_row_that_hangs_when_the_time_is_up_is_named(tmp_path, monkeypatch):
    """The budget ends before the limit of a row; then a shorter one applies."""
    monkeypatch.setattr(processes, "LATE_SILENCE", 1.0)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    (tmp_path / "benchmarks" / "calls.py").write_text("import time\n\n\ndef ready(*row):\n    time.sleep(86_421)\n")
    job = {"task": "prepare", "suite": str(tmp_path), "rows": [["a.A.track_seconds", ["native"]]]}
    answers = ask([sys.executable], job, clean_environment({}), silence=600, until=processes.wall.now() + 3)
    assert (answers.failure.kind, str(answers.failure.row)) == ("timeout", "a.A.track_seconds('native')")


@pytest.mark.slow  # the loaders' own deadline is a minute
def test_a_real_loader_that_never_delivers_is_reported_by_its_own_deadline(tmp_path):
    """Two workers hang in `__getitem__`: the row's error is a timeout with its place, and no process is left."""
    (tmp_path / "stuck.py").write_text(DATASET)
    body = """
import sys
sys.path.insert(0, PLACE)
from lossimpl.loading import measure
record = measure({"num_workers": 2, "batch_size": 2}, "stuck:dataset", 0.3)
raise RuntimeError(f"{record['status']}: {record['reason']}")
""".replace("PLACE", repr(str(tmp_path)))
    job = suite(tmp_path / "suite", body)
    answers = ask([sys.executable], job, clean_environment({}), silence=600.0)
    assert answers.failure is None
    (answer,) = answers.rows().values()
    assert answer["error"].startswith("RuntimeError: timeout: ")
    assert survivors() == []


@pytest.mark.slow  # starts a zygote with torch
def test_a_real_loader_that_is_ended_leaves_no_process_and_no_file(tmp_path, monkeypatch):
    """The gate's limit is shorter here: zygote, job and both hanging workers end, and the job's folder is removed."""
    places = tmp_path / "t"
    places.mkdir()
    (tmp_path / "stuck.py").write_text(DATASET)
    body = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from lossimpl.loading import measure
return measure({{"num_workers": 2, "batch_size": 2}}, "stuck:dataset", 0.3)
"""
    seen = []
    monkeypatch.setattr(family, "end", lambda mark, end=family.end: (seen.append(family.members(mark)), end(mark)))
    job = suite(tmp_path / "suite", body)
    answers = ask([sys.executable], job, clean_environment({"TMPDIR": str(places)}), silence=30.0)
    assert answers.failure.kind == "timeout"
    assert len(seen[0]) >= 3  # zygote, job, worker
    left = [psutil.Process(pid) for pid in seen[0] if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(left, timeout=2.0)  # a killed process takes a moment to release its memory
    assert alive == []
    assert list(places.iterdir()) == []


DATASET = """
import time

from torch.utils.data import get_worker_info


class Dataset:
    def __len__(self):
        return 64

    def __getitem__(self, index):
        if get_worker_info():
            time.sleep(86_421)
        return index


def dataset():
    return Dataset()
"""
