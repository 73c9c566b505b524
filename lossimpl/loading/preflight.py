"""Before a run: what is likely to fail or to mislead on this machine, found by looking and not by trying."""

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

from lossimpl.loading.limits import Finding
from lossimpl.loading.pickling import pickled_size, unpicklable
from lossimpl.loading.walk import walk
from lossimpl.loading.workload import Workload

PARTS = ("dataset", "collate_fn", "worker_init_fn", "sampler", "batch_sampler")
LONG_LIST = 100_000  # Python objects; below, copying their pages costs a worker a few MiB
LARGE_PICKLE = 64 << 20
HANDLES: tuple[type, ...] = (io.IOBase, sqlite3.Connection, socket.socket, subprocess.Popen, threading.Thread)
LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event)
FOREIGN_HANDLES = {
    ("h5py", "File"),
    ("lmdb", "Environment"),
    ("mmap", "mmap"),
    ("zipfile", "ZipFile"),
    ("tarfile", "TarFile"),
}


def of_workload(workload: Workload) -> list[Finding]:
    """What the dataset and the functions beside it hold that does not travel well."""
    return [*pickles(workload), *generators(workload), *handles(workload), *lists(workload), *samplers(workload)]


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


def generators(workload: Workload) -> Iterator[Finding]:
    """Random generators that each worker copies and that nobody seeds again."""
    kinds = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
    for path, value in walk(workload.dataset, "dataset"):
        if isinstance(value, kinds):
            yield Finding(
                "random generator",
                f"{path} holds a {type(value).__name__}, which each worker copies",
                "draw from lossimpl.loading.SampleRNG, a generator per (seed, epoch, index)",
            )


def handles(workload: Workload) -> Iterator[Finding]:
    """Files, connections and locks that were opened before the workers exist."""
    for path, value in walk(workload.dataset, "dataset"):
        foreign = (type(value).__module__.partition(".")[0], type(value).__name__) in FOREIGN_HANDLES
        if foreign or isinstance(value, HANDLES):
            yield Finding(
                "open handle",
                f"{path} is an open {type(value).__name__} that workers would share",
                "open it on first use in each process, and leave it out of __getstate__",
            )
        elif isinstance(value, LOCKS):
            yield Finding(
                "lock",
                f"{path} is a {type(value).__name__}, which may be held for ever in a forked worker",
                "make it on first use in each process",
            )


def lists(workload: Workload) -> Iterator[Finding]:
    """Long lists of Python objects, whose reference counts turn shared pages into copies."""
    for path, value in walk(workload.dataset, "dataset"):
        if isinstance(value, list | dict | tuple) and len(value) > LONG_LIST:
            yield Finding(
                "copies",
                f"{path} holds {len(value):,} Python objects, which each worker copies",
                "keep them as a numpy array",
            )


def samplers(workload: Workload) -> Iterator[Finding]:
    """A sampler of fixed order that leaves samples out or repeats them: allowed, but worth knowing."""
    found = workload.sampler
    if found is None or not hasattr(workload.dataset, "__len__") or not isinstance(found, list | tuple | range):
        return
    missing, repeated = len(workload.dataset) - len(set(found)), len(found) - len(set(found))
    if missing or repeated:
        yield Finding(
            "sampler", f"sampler leaves out {missing} samples and repeats {repeated}", "check that this is meant"
        )
