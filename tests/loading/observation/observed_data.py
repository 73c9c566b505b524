"""Datasets for observed loaders, importable so that every start method can send them to workers."""

from __future__ import annotations

import random
import time

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

COUNT = 40


class Augmented(Dataset):
    """Each sample draws from all three global generators, in a transform that is a list of layers as well."""

    def __init__(self, count=COUNT):
        self.count, self.transform = count, Layers()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        for layer in self.transform:
            index = layer(index)
        drawn = [random.random(), np.random.rand(), torch.rand(()).item(), float(len(self.transform))]
        return self.transform(torch.tensor([float(index), *drawn]))


class Layers:
    """Can be called, iterated over, measured and changed, such as torch's Sequential."""

    def __init__(self):
        self.calls = 0

    def __call__(self, sample):
        self.calls += 1
        return sample

    def __iter__(self):
        return iter([abs])

    def __len__(self):
        return 1


class Stream(IterableDataset):
    """Divided among the workers; transforms are a method."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(first, COUNT, step):
            yield self.transform(index)

    def transform(self, index):
        return torch.tensor([float(index), torch.rand(()).item()])


class Slow(Dataset):
    """`seconds` per sample, of which all but the last fifth are the transform's; raises at `fatal`."""

    def __init__(self, seconds=0.0, fatal=-1):
        self.seconds, self.fatal = seconds, fatal

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        if index == self.fatal:
            raise KeyError("lost")
        time.sleep(self.seconds / 5)
        return self.transform(torch.zeros(2))

    def transform(self, sample):
        time.sleep(self.seconds * 4 / 5)
        return sample


def note_worker(worker):
    """A user's own `worker_init_fn`: its draws shift those of the dataset."""
    torch.rand(worker + 1)
