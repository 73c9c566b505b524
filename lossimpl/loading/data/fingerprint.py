"""The job behind a verdict: what a loader delivers, as digests of each sample, batch and epoch.

It runs apart from the timing, so hashing costs no measurement anything. The dataset is wrapped so that each sample
comes with a `Mark`, computed where the sample was made; the wrapper passes every attribute through, so that
`worker_init_fn` and the dataset's own methods see what they would see without it. Each sample is digested again just
before it is collated, and each batch again after the next one has come: what changes in between lies in a buffer that
is reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate, default_convert, get_worker_info

from lossimpl.loading.data.digest import digest, order_free, types
from lossimpl.loading.data.generators import Generators
from lossimpl.loading.harness import workers
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make

OWN = ("_inner", "_length", "_generators", "_iterators")
EPOCHS = 2
READ_TWICE = 8  # samples


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
        return Together([Mark(str(at), digest(one), types(one), worker, drawn) for at, one in samples], items)


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
    """A batch with the marks of its samples, the places of those that have changed since they were made, and the global
    generators that `worker_init_fn` moved in this process."""

    marks: list[Mark]
    changed: list[int]
    seeded: list[str]
    batch: Any


@dataclass(frozen=True)
class Collate:
    """The workload's collate over the items alone."""

    inner: Any
    batched: bool = True

    def __call__(self, fetched: Any) -> Batch:
        if isinstance(fetched, Together):
            marks, items = fetched.marks, fetched.items
            again = list(map(digest, rows(items, len(marks))))
        elif self.batched:
            marks, items = [mark for mark, _ in fetched], [item for _, item in fetched]
            again = list(map(digest, items))
        else:
            mark, items = fetched
            marks, again = [mark], [digest(items)]
        changed = [at for at, mark in enumerate(marks) if mark.digest != again[at]]
        return Batch(marks, changed, list(SEEDED), self.inner(items))


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


def loader(workload: Workload, settings: Settings, length: int | None) -> Any:
    """The loader of the workload with wrapped dataset, collate and `worker_init_fn`."""
    arguments = loader_arguments(workload, settings)
    batched = settings.batch_size is not None or "batch_sampler" in arguments
    collate = Collate(arguments.pop("collate_fn", None) or (default_collate if batched else default_convert), batched)
    if init := arguments.pop("worker_init_fn", None):
        arguments["worker_init_fn"] = Init(init)
    own_length = length_of(workload.dataset)
    cut = length if length is not None and own_length is not None and length < own_length else None
    return DataLoader(wrap(workload.dataset, cut), collate_fn=collate, **arguments)


def fingerprint(job: Mapping[str, Any], events: Events) -> None:
    """The task: deliver `EPOCHS` epochs, or the first `samples` of each, and record the digests."""
    settings, limit = Settings(**job["settings"]), job["samples"]
    events.phase("build")
    workload = make(job["dataset"])
    events.phase("loader")
    source = loader(workload, settings, limit)
    planned = expected(source, workload, settings)
    own = {"own_collate": workload.collate_fn is not None and settings.collate_fn}
    own |= {"set_epoch": workload.set_epoch is not None}
    iterator: Any = None
    for epoch in range(EPOCHS):
        events.phase(f"epoch {epoch}")
        if workload.set_epoch is not None:
            workload.set_epoch(epoch)
        iterator = None
        workers.forget()
        iterator = iter(source)
        events("epoch", number=epoch, planned=planned, **own, **deliver(iterator, limit))
    events.phase("shutdown")
    if settings.num_workers == 0:
        events("again", **again(source.dataset))


def expected(source: Any, workload: Workload, settings: Settings) -> int | None:
    """How many samples an epoch should have by the length of dataset or sampler; None where neither has one."""
    if settings.batch_sampler and workload.batch_sampler is not None:
        return None
    try:
        count = len(source.dataset) if is_iterable(source.dataset) else len(source.sampler)
    except TypeError:
        return None
    return count - count % settings.batch_size if settings.drop_last and settings.batch_size else count


def again(dataset: Any) -> dict[str, Any]:
    """What reading the dataset again in the same process shows: which of the first samples are other ones then although
    no generator moved, and whether each epoch of a stream asked one iterator that cannot start again."""
    if is_iterable(dataset):
        first, *later = dataset._iterators
        spent = type(first).__module__ in (
            "builtins",
            "itertools",
        )  # a class of the user's may start again in `__iter__`
        return {"changed": [], "one_shot": spent and bool(later) and all(one is first for one in later)}
    changed = []
    for index in range(min(READ_TWICE, length_of(dataset) or 0)):
        try:
            (one, _), (two, _) = dataset[index], dataset[index]
        except Exception:  # such a dataset may want other indices; its sampler knows them
            break
        if one.digest != two.digest and not (one.drawn or two.drawn):
            changed.append(index)
    return {"changed": changed, "one_shot": False}


@dataclass
class Delivered:
    """What came in one epoch."""

    marks: list[Mark] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    changed: int = 0  # samples, between being made and being collated
    overwritten: int = 0  # batches, when the next one came
    empty: int = 0  # batches
    seeded: list[str] = field(default_factory=list)
    whole: bool = True

    def add(self, came: Batch) -> None:
        """Note one batch."""
        self.marks += came.marks
        self.changed += len(came.changed)
        self.empty += came.batch is None or (isinstance(came.batch, Mapping | list | tuple) and len(came.batch) == 0)
        self.seeded = sorted({*self.seeded, *came.seeded})
        self.batches.append(digest(came.batch))


def deliver(iterator: Any, limit: int) -> dict[str, Any]:
    """Consume one epoch, or its first `limit` samples; return its digests."""
    found, before = Delivered(), None
    for came in iterator:
        found.overwritten += bool(found.batches) and digest(before) != found.batches[-1]
        found.add(came)
        before = came.batch
        if len(found.marks) >= limit:
            found.whole = next(iterator, None) is None
            break
    return summary(found)


def summary(found: Delivered) -> dict[str, Any]:
    """An epoch as the verdict reads it."""
    indices, marks = [mark.place for mark in found.marks], [mark.digest for mark in found.marks]
    kinds = Counter(item for mark in found.marks for item in mark.types.items())
    return {
        "indices": indices,
        "samples": marks,
        "batches": found.batches,
        "kinds": [[path, kind, count] for (path, kind), count in kinds.items()],
        "drawn": first_states(found.marks),
        "seeded": found.seeded,
        "changed": found.changed,
        "overwritten": found.overwritten,
        "empty": found.empty,
        "digest": digest(found.batches),
        "order_free": order_free(digest(pair) for pair in zip(indices, marks, strict=True)),
        "whole": found.whole,
    }


def first_states(marks: Sequence[Mark]) -> dict[str, dict[int, list[str]]]:
    """Of each generator that was drawn from, its states in each worker before the first two samples that drew."""
    found: dict[str, dict[int, list[str]]] = {}
    for mark in marks:
        for name, state in mark.drawn.items():
            states = found.setdefault(name, {}).setdefault(mark.worker, [])
            if len(states) < 2:
                states.append(state)
    return found
