"""Datasets whose fault, or whose soundness, shows only at a second look: one name for each."""

from __future__ import annotations

import gzip
import itertools
import logging
import random
import threading

import numpy as np
import torch
from loading_faults import COUNT, Good, Samples
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from lossimpl.loading import Workload

LARGE = 1_000_000
GENERATOR = np.random.default_rng(0)


class ReusedMany(Good):
    """Fills one buffer for all samples that are fetched together."""

    def __init__(self):
        self.buffer = np.zeros(3, dtype=np.float32)

    def __getitems__(self, indices):
        return [self.filled(index) for index in indices]

    def filled(self, index):
        self.buffer[:] = index
        return self.buffer[:]


class ReusedRing(Good):
    """Hands out four buffers in turn, fewer than a batch has samples."""

    def __init__(self):
        self.buffers = itertools.cycle([torch.zeros(3) for _ in range(4)])

    def __getitem__(self, index):
        return next(self.buffers).fill_(super().__getitem__(index)[0])


class GoesOn(IterableDataset):
    """Each epoch has an iterator of its own, all over one that ends once."""

    def __init__(self, count=100_000):
        self.left = map(float, range(count))

    def __iter__(self):
        yield from self.left


class Endless(GoesOn):
    """Never ends, and goes on where the last epoch was left."""

    def __init__(self):
        self.left = map(float, itertools.count())


class StartsAgain(IterableDataset):
    """Its own iterator, which starts again in each epoch; divided among the workers."""

    def __iter__(self):
        info = get_worker_info()
        self.place, self.step = (0, 1) if info is None else (info.id, info.num_workers)
        return self

    def __next__(self):
        if self.place >= COUNT:
            raise StopIteration
        self.place += self.step
        return float(self.place)


class OfTheClass(Good):
    """Draws from a generator of its class."""

    generator = random.Random(0)

    def __getitem__(self, index):
        return super().__getitem__(index) + self.generator.random()


def of_the_module():
    """Draws from a global generator of its module."""
    return Samples(lambda index: index + GENERATOR.random())


class MixUp:
    """A collate function that draws, from a generator of its own or from torch's."""

    def __init__(self, generator=None):
        self.generator = generator

    def __call__(self, samples):
        draw = torch.rand(1) if self.generator is None else self.generator.random()
        return default_collate(samples) + draw


def seed_torch(worker):
    torch.manual_seed(42)


def collate_held():
    return Workload(Good(), collate_fn=MixUp(np.random.default_rng(0)))


def collate_seeded():
    return Workload(Good(), collate_fn=MixUp(), worker_init_fn=seed_torch)


def collate_torch():
    return Workload(Good(), collate_fn=MixUp())


def no_rows(samples):
    return torch.empty(0, 3)


def only_none(samples):
    return {"x": None, "y": (None, None)}


def collate_no_rows():
    return Workload(Good(), collate_fn=no_rows)


def collate_only_none():
    return Workload(Good(), collate_fn=only_none)


def without_dimensions():
    return Samples(lambda index: np.array(index) if index % 2 else index)


def optional_joined():
    """A field that may be None, and a collate function that knows."""
    return Workload(Samples(lambda index: {"x": index, "y": None if index % 3 else 1}), collate_fn=list)


class ColumnPair(Good):
    """Fetches a batch as two columns, which torch's own collate takes for two samples."""

    def __getitems__(self, indices):
        return [float(index) for index in indices], list(indices)


class LazyMany(Good):
    """Fetches a batch as a generator."""

    def __getitems__(self, indices):
        return (self[index] for index in indices)


def rare_inner_key():
    return Samples(lambda index: {"a": {"x": index, "m": 1} if index % 8 == 0 else {"x": index}})


def fields_vary():
    return Samples(lambda index: (index, 1, 2) if index % 5 == 4 else (index, 1))


class Refused(Good):
    """Its server does not answer."""

    def fail(self):
        raise ConnectionRefusedError(111, "Connection refused")


class Truncated(Good):
    """Its file ends too early."""

    def fail(self):
        raise EOFError("Compressed file ended before the end-of-stream marker was reached")


class KeepsArrays(Good):
    """Never forgets a sample: 160 kB of each."""

    def __init__(self):
        self.kept = {}

    def __len__(self):
        return 3 * LARGE

    def __getitem__(self, index):
        self.kept[index] = np.full(20_000, float(index))
        return torch.tensor(float(index))


class Searches(Good):
    """Takes longer with each sample that it has read."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return LARGE

    def __getitem__(self, index):
        self.read += 1
        threading.Event().wait(1e-5 * self.read)
        return torch.tensor(float(index))


class Logs(Good):
    """Holds a logger, whose locks are made anew after a fork."""

    def __init__(self):
        self.log = logging.getLogger("loading")
        self.log.addHandler(logging.StreamHandler())


class List(list):
    """A list that does not let itself be looked at."""

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no items")


class HoldsOdd(Good):
    """An odd list before an open file."""

    def __init__(self):
        self.odd, self.file = List([1]), gzip.open("/dev/null")  # noqa: SIM115  (held on purpose)
