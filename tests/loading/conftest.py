"""What the tests of the loaders share: one zygote for all, and a bench for a dataset of `loading_faults`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from lossimpl.loading.bench import Bench
from lossimpl.loading.harness import processes
from lossimpl.loading.harness.launcher import Zygote

OWNED = re.compile(r"(?:torch_|sem\.lossimpl-)(\d+)")  # names in shared memory that carry the id of a process
PATIENCE = 5.0  # seconds for another run on this machine to remove what it has just left


@pytest.fixture(scope="session")
def zygote():
    with closing(Zygote({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})) as started:
        yield started


def orphans():
    """Segments and semaphores in shared memory of this process or of one that has ended.

    Those of other processes that are alive belong to another run on this machine.
    """
    owned = ((path.name, OWNED.match(path.name)) for path in processes.SHARED_MEMORY.iterdir())
    owners = {name: int(found.group(1)) for name, found in owned if found}
    return {name for name, pid in owners.items() if pid == os.getpid() or not psutil.pid_exists(pid)}


def new_orphans(before):
    """What appeared since `before` and stays."""
    until = time.monotonic() + PATIENCE
    while (left := orphans() - before) and time.monotonic() < until:
        time.sleep(0.1)
    return left


@pytest.fixture
def place(monkeypatch):
    """A folder for all temporary files; afterwards it must be empty, and shared memory hold nothing new of ours."""
    before = orphans()
    folder = tempfile.mkdtemp(prefix="place-", dir="/tmp")  # pytest's own are too long for sockets
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    yield Path(folder)
    left = os.listdir(folder)
    shutil.rmtree(folder)
    assert (left, new_orphans(before)) == ([], set())


@pytest.fixture
def bench(zygote):
    """Makes a bench; afterwards nothing that it started may be left, neither process nor shared memory."""
    before = orphans()

    def make(dataset, deadline=60.0, **more):
        return Bench(
            dataset if ":" in dataset else f"loading_faults:{dataset}", zygote, step=0.0, deadline=deadline, **more
        )

    yield make
    alive = processes.descendants(zygote.process.pid) if zygote.process else set()
    assert alive == set()
    assert new_orphans(before) == set()
    assert os.waitpid(-1, os.WNOHANG)[0] == 0 if zygote.process else True
