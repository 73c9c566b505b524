"""What the tests of the loaders share: one zygote for all, and a bench for a dataset of `loading_faults`."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lossimpl.loading import processes
from lossimpl.loading.bench import Bench
from lossimpl.loading.launcher import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}) as started:
        yield started


def in_shared_memory():
    """What torch and `multiprocessing` keep there under names that tell that we asked for it."""
    return {path.name for path in Path("/dev/shm").iterdir() if path.name.startswith(("torch_", "sem.lossimpl-"))}


@pytest.fixture
def place(monkeypatch):
    """A folder for all temporary files; afterwards it must be empty, and nothing new may lie in shared memory."""
    before = in_shared_memory()
    folder = tempfile.mkdtemp(prefix="place-", dir="/tmp")  # pytest's own are too long for sockets
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    yield Path(folder)
    left = os.listdir(folder)
    shutil.rmtree(folder)
    assert (left, in_shared_memory() - before) == ([], set())


@pytest.fixture
def bench(zygote):
    """Makes a bench; afterwards nothing that it started may be left, neither process nor shared memory."""
    before = processes.segments()

    def make(dataset, deadline=60.0, **more):
        return Bench(
            dataset if ":" in dataset else f"loading_faults:{dataset}", zygote, step=0.0, deadline=deadline, **more
        )

    yield make
    alive = processes.descendants(zygote.process.pid) if zygote.process else set()
    assert alive == set()
    assert processes.segments() - before == set()
    assert os.waitpid(-1, os.WNOHANG)[0] == 0 if zygote.process else True
