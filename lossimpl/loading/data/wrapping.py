"""A dataset wrapped so that each sample comes with a `Mark`, computed where the sample was made.

The wrapper passes every attribute through, so that `worker_init_fn` and the dataset's own methods see what they would
see without it. Each sample is digested again just before it is collated: what changes in between lies in a buffer that
is reused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, default_collate, get_worker_info

from lossimpl.loading.data.digest import digest, types
from lossimpl.loading.data.generators import Generators
from lossimpl.loading.data.tree import walk
from lossimpl.loading.workload import is_iterable, length_of

OWN = ("_inner", "_length", "_generators", "_iterators")


class Mark(NamedTuple):
    """What is known of a sample: its index (`place`), its digest, the type of each leaf, the worker that made it, and
    the generators that it drew from, each with its state before."""

    place: str
    digest: str
    types: dict[str, str]
    worker: int
    drawn: dict[str, str]


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


def worker_id() -> int:
    """The number of this worker; 0 in the loader's own process."""
    found = get_worker_info()
    return 0 if found is None else int(found.id)


class Indexed(Passing, Dataset[Any]):
    """A map-style dataset whose items are (mark of the item, item); shortened to `length` where given."""

    def __init__(self, inner: Any, length: int | None = None) -> None:
        self._inner, self._length, self._generators = inner, length, Generators(inner)

    def __len__(self) -> int:
        return len(self._inner) if self._length is None else self._length

    def __getitem__(self, index: Any) -> tuple[Mark, Any]:
        self._generators.look()
        before = self._generators.states()
        item = self._inner[index]
        drawn = self._generators.drawn(before)
        return Mark(str(index), digest(item), types(item), worker_id(), drawn), item


class Together:
    """What `__getitems__` returned, whole, with the marks of its samples."""

    def __init__(self, marks: list[Mark], items: Any) -> None:
        self.marks, self.items = marks, items


class IndexedMany(Indexed):
    """The same for a dataset that fetches a whole batch at once through `__getitems__`."""

    def __getitems__(self, indices: list[Any]) -> Together:
        self._generators.look()
        before = self._generators.states()
        items = self._inner.__getitems__(indices)
        drawn, worker = self._generators.drawn(before), worker_id()
        samples = list(zip(indices, rows(items, len(indices)), strict=True))
        marks = [Mark(str(at), digest(one), types(one), worker, drawn) for at, one in samples]
        return Together(overwritten(marks, samples), items)


def overwritten(marks: list[Mark], samples: Sequence[tuple[Any, Any]]) -> list[Mark]:
    """The marks without the digests of samples that lie in the memory of a later one of another index: they were
    overwritten before anybody could look at them."""
    owner = {
        (memory, mark.digest): mark.place
        for mark, (_, one) in zip(marks, samples, strict=True)
        for memory in memory_of(one)
    }
    return [
        mark._replace(digest="") if any(owner[memory, mark.digest] != mark.place for memory in memory_of(one)) else mark
        for mark, (_, one) in zip(marks, samples, strict=True)
    ]


def memory_of(sample: Any) -> list[int]:
    """Where the tensors and arrays of a sample begin."""
    parts = [part for _, part in walk(sample)]
    tensors = [part.data_ptr() for part in parts if isinstance(part, torch.Tensor) and part.numel()]
    return tensors + [part.ctypes.data for part in parts if isinstance(part, np.ndarray) and part.size]


def rows(items: Any, count: int) -> Sequence[Any]:
    """The samples in what `__getitems__` returned: its members, or, of columns, what each holds at one place.

    Raises ValueError where there are not `count` of them: torch would deliver another number of samples.
    """
    columns = list(items.values()) if isinstance(items, Mapping) else list(items) if isinstance(items, tuple) else []
    if columns and all(hasattr(one, "__len__") and len(one) == count for one in columns):
        keys = list(items) if isinstance(items, Mapping) else list(range(len(columns)))
        return [{key: column[at] for key, column in zip(keys, columns, strict=True)} for at in range(count)]
    if isinstance(items, Mapping) or len(items) != count:
        raise ValueError(f"__getitems__: returned {len(items)} samples for {count} indices")
    return items if isinstance(items, list) else [items[at] for at in range(count)]


class Streamed(Passing, IterableDataset[Any]):
    """The same for an iterable dataset, whose samples have no index."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._generators, self._iterators = inner, Generators(inner), list[Any]()

    def __iter__(self) -> Iterator[tuple[Mark, Any]]:
        self._generators.look()
        iterator = iter(self._inner)
        self._iterators.append(iterator)  # kept, so that another one cannot have its id
        while True:
            before = self._generators.states()
            try:
                item = next(iterator)
            except StopIteration:
                return
            drawn = self._generators.drawn(before)
            self._generators.look(iterator)  # a generator function has made its local variables by now
            yield Mark("", digest(item), types(item), worker_id(), drawn), item


class StreamedWithLength(Streamed):
    """An iterable dataset that states its length."""

    def __len__(self) -> int:
        return len(self._inner)


def wrap(dataset: Any, length: int | None) -> Any:
    """The wrapper that has the same abilities as the dataset."""
    if is_iterable(dataset):
        return Streamed(dataset) if length_of(dataset) is None else StreamedWithLength(dataset)
    return IndexedMany(dataset, length) if fetches_batches(dataset) else Indexed(dataset, length)


def fetches_batches(dataset: Any) -> bool:
    """Whether torch asks the dataset for a whole batch at once."""
    return bool(getattr(dataset, "__getitems__", None))


class Batch(NamedTuple):
    """A batch with the marks of its samples, the places of those that have changed since they were made, the generators
    that `collate_fn` drew from, and the global ones that `worker_init_fn` moved in this process."""

    marks: list[Mark]
    changed: list[int]
    drawn: Mark
    seeded: list[str]
    batch: Any


class Collate:
    """The workload's collate over the items alone."""

    def __init__(self, inner: Any, batched: bool = True) -> None:
        self.inner, self.batched, self.generators = inner, batched, Generators(inner, "collate_fn")

    def __call__(self, fetched: Any) -> Batch:
        if isinstance(fetched, Together):
            marks, items = fetched.marks, fetched.items
            if self.inner is default_collate:
                rows(list(items), len(marks))  # which takes columns for samples
            again = list(map(digest, rows(items, len(marks))))
        elif self.batched:
            marks, items = [mark for mark, _ in fetched], [item for _, item in fetched]
            again = list(map(digest, items))
        else:
            mark, items = fetched
            marks, again = [mark], [digest(items)]
        changed = [at for at, mark in enumerate(marks) if mark.digest != again[at]]
        self.generators.look()
        before = self.generators.states()
        batch = self.inner(items)
        drawn = Mark("", "", {}, worker_id(), self.generators.drawn(before))
        return Batch(marks, changed, drawn, list(SEEDED), batch)


SEEDED: list[str] = []  # the global generators that `worker_init_fn` moved in this process


@dataclass(frozen=True)
class Init:
    """The workload's `worker_init_fn`, which notes the global generators that it moves."""

    inner: Any

    def __call__(self, worker: int) -> None:
        generators = Generators(None)
        before = generators.states()
        self.inner(worker)
        SEEDED.extend(generators.drawn(before))
