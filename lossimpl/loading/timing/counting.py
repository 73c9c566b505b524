"""How many samples a batch holds, found quickly enough for the timed loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable


def counter(workload: Workload, settings: Settings) -> Callable[[Any], int]:
    """How many samples a batch holds: one without batching, else the length of its first leaf."""
    if settings.batch_size is None and not (workload.batch_sampler and settings.batch_sampler):
        return lambda batch: 1
    return BatchLength()


def full_size(workload: Workload, settings: Settings) -> int | None:
    """The samples of every batch but the last of an epoch, where that is known without looking at each batch.

    Not for a stream, of which every worker has its own last batch, nor where the workload decides the batches.
    """
    if is_iterable(workload.dataset) or (workload.batch_sampler is not None and settings.batch_sampler):
        return None
    return settings.batch_size or 1


class BatchLength:
    """The first dimension of the first leaf of a batch: its samples, for every collate that keeps them first.

    The way to the leaf is found once, because the timed loop walks it for each batch.
    """

    def __init__(self) -> None:
        self.way: list[Any] | None = None

    def __call__(self, batch: Any) -> int:
        leaf = batch
        try:
            for key in self.way:  # type: ignore[union-attr]  # None the first time, which raises TypeError
                leaf = leaf[key]
            return len(leaf)
        except (TypeError, KeyError, IndexError):
            self.way = way_to_leaf(batch)
        for key in self.way:
            batch = batch[key]
        return len(batch) if hasattr(batch, "__len__") and getattr(batch, "shape", True) != () else 1


def way_to_leaf(batch: Any) -> list[Any]:
    """The keys that lead to the first leaf of a batch."""
    way: list[Any] = []
    while isinstance(batch, Mapping) or (isinstance(batch, list | tuple) and batch and holds_batches(batch[0])):
        way.append(next(iter(batch)) if isinstance(batch, Mapping) else 0)
        batch = batch[way[-1]]
    return way


def holds_batches(value: Any) -> bool:
    """Whether a member of a list is itself many samples, and not one of them."""
    return isinstance(value, Mapping | list | tuple) or getattr(value, "shape", ()) != ()
