"""What the tests of the loaders share: one zygote for all, and a bench for a dataset of `loading_faults`."""

from __future__ import annotations

import os

import pytest

from lossimpl.loading import processes
from lossimpl.loading.bench import Bench
from lossimpl.loading.launcher import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}) as started:
        yield started


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
