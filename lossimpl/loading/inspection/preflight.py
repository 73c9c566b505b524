"""Before a run: what is likely to fail or to mislead on this machine, found by looking at the dataset."""

from __future__ import annotations

import io
import random
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from lossimpl.loading.inspection.pickling import pickled_size, unpicklable
from lossimpl.loading.inspection.result import Finding
from lossimpl.loading.inspection.walk import walk
from lossimpl.loading.workload import Workload

PARTS = ("dataset", "collate_fn", "worker_init_fn", "sampler", "batch_sampler")
LONG_LIST = 100_000  # Python objects; below, copying their pages costs a worker a few MiB
LARGE_PICKLE = 64 << 20
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
HANDLES: tuple[type, ...] = (io.IOBase, sqlite3.Connection, socket.socket, subprocess.Popen, threading.Thread)
LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event)
FOREIGN_HANDLES = {
    ("h5py", "File"),
    ("lmdb", "Environment"),
    ("mmap", "mmap"),
    ("zipfile", "ZipFile"),
    ("tarfile", "TarFile"),
}
USE_SAMPLE_RNG = "draw from lossimpl.loading.SampleRNG, a generator per (seed, epoch, index)"
OPEN_IN_WORKER = "open it on first use in each process, and leave it out of __getstate__"
MAKE_IN_WORKER = "make it on first use in each process"


def of_workload(workload: Workload) -> list[Finding]:
    """What the dataset and its functions hold that does not reach workers well."""
    return [*pickles(workload), *held(workload), *samplers(workload)]


def parts(workload: Workload) -> Iterator[tuple[str, Any]]:
    """The parts of a workload that go to the workers, by name."""
    for name in PARTS:
        if getattr(workload, name) is not None:
            yield name, getattr(workload, name)


def pickles(workload: Workload) -> Iterator[Finding]:
    """What spawn and forkserver could not send, by the path of the attribute; and what is large to send."""
    for name, part in parts(workload):
        size = pickled_size(part)
        if size is None:
            path, reason = unpicklable(part, name)
            yield Finding(
                "pickle",
                f"{path} cannot be pickled: {reason}",
                "works under fork only; make it a function or class at the top of a module",
            )
        elif size > LARGE_PICKLE:
            yield Finding(
                "pickle size",
                f"{name} pickles to {size / 2**20:.0f} MiB, once for each worker",
                "under spawn and forkserver keep the data in a file or in shared memory",
            )


def held(workload: Workload) -> Iterator[Finding]:
    """What the dataset holds, by the path of the attribute, that workers should not copy or share."""
    for path, value in walk(workload.dataset, "dataset"):
        if finding := of_value(path, value):
            yield finding


def of_value(path: str, value: Any) -> Finding | None:
    """A generator that nobody seeds, an open handle, a lock, or many objects, whose reference counts copy pages."""
    name = type(value).__name__
    if isinstance(value, GENERATORS):
        return Finding("random generator", f"{path} holds a {name}, which each worker copies", USE_SAMPLE_RNG)
    if isinstance(value, HANDLES) or (type(value).__module__.partition(".")[0], name) in FOREIGN_HANDLES:
        return Finding("open handle", f"{path} is an open {name} that workers would share", OPEN_IN_WORKER)
    if isinstance(value, LOCKS):
        return Finding("lock", f"{path} is a {name}, which a forked worker may wait for forever", MAKE_IN_WORKER)
    if isinstance(value, list | dict | tuple) and len(value) > LONG_LIST:
        what = f"{path} holds {len(value):,} Python objects, which each worker copies"
        return Finding("copies", what, "keep them as a numpy array")
    return None


def samplers(workload: Workload) -> Iterator[Finding]:
    """A sampler of fixed order that leaves samples out or repeats them, which is allowed but may be a mistake."""
    found = workload.sampler
    if found is None or not hasattr(workload.dataset, "__len__") or not isinstance(found, list | tuple | range):
        return
    missing, repeated = len(workload.dataset) - len(set(found)), len(found) - len(set(found))
    if missing or repeated:
        yield Finding(
            "sampler", f"sampler leaves out {missing} samples and repeats {repeated}", "check that this is meant"
        )
