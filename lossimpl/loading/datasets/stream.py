"""A stream: an IterableDataset over the digits, shared between the workers, and once as people first write it.

Without sharing, every worker yields everything and each sample comes once for each worker, with no warning.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import IterableDataset, get_worker_info

from lossimpl.loading.datasets.digits import Digits
from lossimpl.loading.datasets.digits import build as build_digits
from lossimpl.loading.workload import Workload


class Stream(IterableDataset[tuple[torch.Tensor, int]]):
    """The digits in their order; with `sharded`, worker k of n yields every n-th from k on."""

    def __init__(self, digits: Digits, sharded: bool) -> None:
        self.digits, self.sharded = digits, sharded

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        worker = get_worker_info() if self.sharded else None
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for index in range(first, len(self.digits), step):
            yield self.digits[index]


def build() -> Workload:
    """The stream as it should be."""
    return Workload(Stream(build_digits().dataset, sharded=True))


def build_unsharded() -> Workload:
    """The stream that every worker repeats."""
    return Workload(Stream(build_digits().dataset, sharded=False))
