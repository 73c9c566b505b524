"""The job behind a verdict: what a loader delivers, as digests of each sample, batch and epoch.

It runs apart from the timing, so hashing costs no measurement anything. Each batch is digested again after the next one
has come: what changes in between lies in a buffer that is reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader, default_collate, default_convert

from lossimpl.loading.data.digest import digest, order_free
from lossimpl.loading.data.tree import CONTAINERS, walk
from lossimpl.loading.data.wrapping import Batch, Collate, Init, Mark, wrap
from lossimpl.loading.harness import workers
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make
from lossimpl.measure.wall import now

EPOCHS = 2
READ_TWICE = 8  # samples
READ_ON_SECONDS = 1.0  # to see whether a stream can be read again


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
    length = length_of(workload.dataset)
    own |= {"set_epoch": workload.set_epoch is not None, "shortened": length is not None and limit < length}
    iterator: Any = None
    epochs: list[Delivered] = []
    for epoch in range(EPOCHS):
        events.phase(f"epoch {epoch}")
        if workload.set_epoch is not None:
            workload.set_epoch(epoch)
        iterator = None
        workers.forget()
        iterator = iter(source)
        epochs.append(deliver(iterator, limit))
        events("epoch", number=epoch, planned=planned, **own, **summary(epochs[-1]))
    events.phase("shutdown")
    if settings.num_workers == 0:
        events("again", **again(source.dataset, epochs))


def expected(source: Any, workload: Workload, settings: Settings) -> int | None:
    """How many samples an epoch should have by the length of dataset or sampler; None where neither has one."""
    if settings.batch_sampler and workload.batch_sampler is not None:
        return None
    try:
        count = len(source.dataset) if is_iterable(source.dataset) else len(source.sampler)
    except TypeError:
        return None
    return count - count % settings.batch_size if settings.drop_last and settings.batch_size else count


def again(dataset: Any, epochs: Sequence[Delivered]) -> dict[str, Any]:
    """What reading the dataset again in the same process shows: which of the first samples are other ones then although
    no generator moved, and whether a stream goes on (`continues`) or ends for good (`one_shot`) where it was left."""
    if is_iterable(dataset):
        first, *later = dataset._iterators
        builtin = type(first).__module__ in ("builtins", "itertools")  # a user's class may start again in `__iter__`
        same = builtin and bool(later) and all(one is first for one in later)
        goes_on = continues(epochs)
        return {"changed": [], "continues": goes_on, "one_shot": same or (goes_on and ends_for_good(dataset._inner))}
    changed = []
    for index in range(min(READ_TWICE, length_of(dataset) or 0)):
        try:
            (one, _), (two, _) = dataset[index], dataset[index]
        except Exception:  # such a dataset may want other indices; its sampler knows them
            break
        if one.digest != two.digest and not (one.drawn or two.drawn):
            changed.append(index)
    return {"changed": changed, "continues": False, "one_shot": False}


def continues(epochs: Sequence[Delivered]) -> bool:
    """Whether the second epoch has no sample of the first, although nothing was drawn and nobody set the epoch."""
    first, second = ({mark.digest for mark in one.marks} for one in epochs)
    drew = any(mark.drawn for one in epochs for mark in one.drawing)
    return bool(first and second) and not first & second and not drew


def ends_for_good(stream: Any) -> bool:
    """Whether a stream, read to its end, has nothing more in the next epoch; False where that takes too long."""
    until = now() + READ_ON_SECONDS
    for _ in stream:
        if now() > until:
            return False
    return next(iter(stream), None) is None


@dataclass
class Delivered:
    """What came in one epoch."""

    marks: list[Mark] = field(default_factory=list)
    drawing: list[Mark] = field(default_factory=list)  # the marks of samples, and of batches that were collated
    batches: list[str] = field(default_factory=list)
    changed: int = 0  # samples, between being made and being collated
    overwritten: int = 0  # batches, when the next one came
    empty: int = 0  # batches
    seeded: list[str] = field(default_factory=list)
    whole: bool = True

    def add(self, came: Batch) -> None:
        """Note one batch."""
        self.marks += came.marks
        self.drawing += [*came.marks, came.drawn]
        self.changed += len(came.changed)
        self.empty += is_empty(came.batch)
        self.seeded = sorted({*self.seeded, *came.seeded})
        self.batches.append(digest(came.batch))


def is_empty(batch: Any) -> bool:
    """Whether a batch holds nothing but None and tensors without elements."""
    parts = [part for _, part in walk(batch) if not isinstance(part, CONTAINERS)]
    return all(part is None or (isinstance(part, torch.Tensor) and part.numel() == 0) for part in parts)


def deliver(iterator: Any, limit: int) -> Delivered:
    """Consume one epoch, or its first `limit` samples."""
    found, before = Delivered(), None
    for came in iterator:
        found.overwritten += bool(found.batches) and digest(before) != found.batches[-1]
        found.add(came)
        before = came.batch
        if len(found.marks) >= limit:
            found.whole = next(iterator, None) is None
            break
    return found


def summary(found: Delivered) -> dict[str, Any]:
    """An epoch as the verdict reads it."""
    indices, marks = [mark.place for mark in found.marks], [mark.digest for mark in found.marks]
    kinds = Counter(item for mark in found.marks for item in mark.types.items())
    return {
        "indices": indices,
        "samples": marks,
        "batches": found.batches,
        "kinds": [[path, kind, count] for (path, kind), count in kinds.items()],
        "drawn": first_states(found.drawing),
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
