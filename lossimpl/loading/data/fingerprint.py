"""The job behind a verdict: what a loader delivers, as digests of each sample, batch and epoch.

It runs apart from the timing, so hashing costs no measurement anything. The dataset is wrapped so that each sample
comes with its index and its digest, computed where the sample was made; the wrapper passes every attribute through, so
that `worker_init_fn` and the dataset's own methods see what they would see without it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate, default_convert

from lossimpl.loading.data.digest import digest, order_free, types
from lossimpl.loading.harness import workers
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make

OWN = ("_inner", "_length")
EPOCHS = 2


def mark(item: Any) -> str:
    """The digest of a sample, then the type of each of its leaves, as one word."""
    return " ".join([digest(item), json.dumps(types(item))])


class Passing:
    """Passes every attribute that is not its own on to the dataset inside, for reading and for writing."""

    def __getattr__(self, name: str) -> Any:
        if name in OWN or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)


class Indexed(Passing, Dataset[Any]):
    """A map-style dataset whose items are (index, mark of the item, item); shortened to `length` where given."""

    def __init__(self, inner: Any, length: int | None) -> None:
        self._inner, self._length = inner, length

    def __len__(self) -> int:
        return len(self._inner) if self._length is None else self._length

    def __getitem__(self, index: Any) -> tuple[str, str, Any]:
        item = self._inner[index]
        return str(index), mark(item), item


class IndexedMany(Indexed):
    """The same for a dataset that fetches a whole batch at once through `__getitems__`."""

    def __getitems__(self, indices: list[Any]) -> list[tuple[str, str, Any]]:
        items = self._inner.__getitems__(indices)
        if len(items) != len(indices):
            raise ValueError(f"__getitems__: returned {len(items)} samples for {len(indices)} indices")
        return [(str(index), mark(item), item) for index, item in zip(indices, items, strict=True)]


class Streamed(Passing, IterableDataset[Any]):
    """The same for an iterable dataset, whose samples have no index."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._length = inner, None

    def __iter__(self) -> Iterator[tuple[str, str, Any]]:
        for item in self._inner:
            yield "", mark(item), item


class StreamedWithLength(Streamed):
    """An iterable dataset that states its length."""

    def __len__(self) -> int:
        return len(self._inner)


def wrap(dataset: Any, length: int | None) -> Any:
    """The wrapper that has the same abilities as the dataset."""
    if is_iterable(dataset):
        return Streamed(dataset) if length_of(dataset) is None else StreamedWithLength(dataset)
    return IndexedMany(dataset, length) if hasattr(dataset, "__getitems__") else Indexed(dataset, length)


@dataclass(frozen=True)
class Collate:
    """The workload's collate over the items alone, beside the list of their indices and digests."""

    inner: Any
    batched: bool

    def __call__(self, triples: Any) -> tuple[list[tuple[str, str]], Any]:
        if not self.batched:
            index, text, item = triples
            return [(index, text)], self.inner(item)
        return [(index, text) for index, text, _ in triples], self.inner([item for _, _, item in triples])


def loader(workload: Workload, settings: Settings, length: int | None) -> Any:
    """The loader of the workload with wrapped dataset and collate."""
    arguments = loader_arguments(workload, settings)
    batched = settings.batch_size is not None or "batch_sampler" in arguments
    collate = arguments.pop("collate_fn", None) or (default_collate if batched else default_convert)
    own_length = length_of(workload.dataset)
    cut = length if length is not None and own_length is not None and length < own_length else None
    return DataLoader(wrap(workload.dataset, cut), collate_fn=Collate(collate, batched), **arguments)


def fingerprint(job: Mapping[str, Any], events: Events) -> None:
    """The task: deliver `EPOCHS` epochs, or the first `samples` of each, and record the digests."""
    settings, limit = Settings(**job["settings"]), job["samples"]
    events.phase("build")
    workload = make(job["dataset"])
    events.phase("loader")
    source = loader(workload, settings, limit)
    planned = expected(source, workload, settings)
    iterator: Any = None
    for epoch in range(EPOCHS):
        events.phase(f"epoch {epoch}")
        if workload.set_epoch is not None:
            workload.set_epoch(epoch)
        iterator = None
        workers.forget()
        iterator = iter(source)
        events("epoch", number=epoch, planned=planned, **deliver(iterator, limit))
    events.phase("shutdown")


def expected(source: Any, workload: Workload, settings: Settings) -> int | None:
    """How many samples an epoch should have by the length of dataset or sampler; None where neither has one."""
    if settings.batch_sampler and workload.batch_sampler is not None:
        return None
    try:
        count = len(source.dataset) if is_iterable(source.dataset) else len(source.sampler)
    except TypeError:
        return None
    return count - count % settings.batch_size if settings.drop_last and settings.batch_size else count


def deliver(iterator: Any, limit: int) -> dict[str, Any]:
    """Consume one epoch, or its first `limit` samples; return its digests."""
    indices: list[str] = []
    marks: list[str] = []
    batches: list[str] = []
    kinds: Counter[tuple[str, str]] = Counter()
    whole = True
    for pairs, batch in iterator:
        indices += [index for index, _ in pairs]
        for _, text in pairs:
            found, _, leaves = text.partition(" ")
            marks.append(found)
            kinds.update(json.loads(leaves).items())
        batches.append(digest(batch))
        if len(marks) >= limit:
            whole = next(iterator, None) is None
            break
    return {
        "indices": indices,
        "samples": marks,
        "batches": batches,
        "kinds": [[path, kind, count] for (path, kind), count in kinds.items()],
        "digest": digest(batches),
        "order_free": order_free(digest(pair) for pair in zip(indices, marks, strict=True)),
        "whole": whole,
    }
