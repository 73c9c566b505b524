"""`observe(loader)`: the loader as it is, with a record of how long training waited for each batch and why.

The batches are those that the loader delivers, untouched and in its order, and no random number is drawn. The loop pays
for two clock readings per step; what workers recorded is read between epochs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from types import GeneratorType
from typing import Any

from lossimpl.loading.observation import html, report
from lossimpl.loading.observation.epochs import Epoch
from lossimpl.loading.observation.numbers import Observation
from lossimpl.loading.observation.record import Record, record_of, written
from lossimpl.loading.observation.tracing import InWorker, Tracer, processor_seconds, traced_fetchers
from lossimpl.measure.wall import now

CACHED = 4  # batches that a replay gives out again and again


def observe(loader: Any, say: bool = True) -> Observed:
    """The loader, observed: iterate over it as before, in every epoch; the same loader has one record.

    At the end of the program three lines go to stderr: what loading costs this training, which settings to try, and
    what they would give at the observed step time. `say=False` leaves them out; `print(observed)` shows them at any
    time. Works with torch's DataLoader, torchdata's StatefulDataLoader, and any iterable, of which only the waits are
    known.

    >>> loader = observe([1, 2, 3], say=False)
    >>> [batch for batch in loader]
    [1, 2, 3]
    >>> loader.observation().steps
    3
    """
    found = loader if isinstance(loader, Observed) else Observed(loader, record_of(loader))
    if say:
        found.record.say_at_exit()
    return found


@dataclass(eq=False)
class Observed:
    """A loader and what was seen of it. Attributes of the loader are passed through."""

    loader: Any
    record: Record

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("loader", "record"):
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        """An epoch; the loader's own iterator is made at once, since that draws a random number and starts workers."""
        epoch = Epoch(next(self.record.numbers), workers=int(getattr(self.loader, "num_workers", 0) or 0))
        before = now()
        iterator = self.opened(epoch)
        epoch.opening = now() - before
        return self.watched(epoch, iterator)

    def watched(self, epoch: Epoch, iterator: Iterator[Any]) -> Iterator[Any]:
        """The batches as they come, with the clock read around each request."""
        asked, came, finished = epoch.asked.append, epoch.came.append, False
        epoch.processor_before = processor_seconds()
        before = now() - epoch.opening
        self.record.running[epoch.number] = epoch
        try:
            while True:
                try:
                    batch = next(iterator)
                except StopIteration:
                    finished = True
                    break
                came(now())
                asked(before)
                yield batch
                del batch
                before = now()
        finally:
            epoch.ended = now()
            epoch.tail = (before if finished else epoch.ended, epoch.ended)
            self.close(epoch)
            del iterator

    def opened(self, epoch: Epoch) -> Iterator[Any]:
        """The loader's iterator, with what makes its batches traced; the loader is left as it was."""
        loader = self.loader
        if epoch.workers and hasattr(loader, "worker_init_fn"):
            return self.with_workers(epoch)
        iterator: Iterator[Any] = iter(loader)
        tracer = Tracer(epoch.made_here.append, sparse=True)
        if isinstance(iterator, GeneratorType) and hasattr(loader, "dataset"):
            return begun(iterator, traced_fetchers(tracer, loader.dataset))
        fetcher = getattr(iterator, "_dataset_fetcher", None)
        if fetcher is not None:
            tracer.attach(fetcher)
        return iterator

    def with_workers(self, epoch: Epoch) -> Iterator[Any]:
        """The iterator of a loader with workers, each of which traces itself; kept workers go on with their log."""
        loader, record = self.loader, self.record
        own = loader.worker_init_fn.inner if isinstance(loader.worker_init_fn, InWorker) else loader.worker_init_fn
        started = getattr(loader, "persistent_workers", False) and getattr(loader, "_iterator", None) is not None
        if not started or record.log is None:
            log = record.new_log(epoch)
            loader.worker_init_fn = InWorker(own, log.folder, log.generation)
        undo = partial(setattr, loader, "worker_init_fn", own)
        with ExitStack() as later:
            later.callback(undo)
            iterator: Iterator[Any] = iter(loader)
            if isinstance(iterator, GeneratorType):  # which starts the workers with the first batch
                iterator = begun(iterator, later.pop_all())
        epoch.log, epoch.in_order = record.log, getattr(loader, "in_order", True)
        if getattr(iterator, "_pin_memory", False):
            record.pinning.watch()
        return iterator

    def close(self, epoch: Epoch) -> None:
        """Keep what an epoch showed, read what its workers recorded, and look at the processes while they are there."""
        self.record.meter.look(epoch.ended)
        self.record.running.pop(epoch.number, None)
        epoch.settle(self.record.pinning.taken())
        self.record.epochs.append(epoch)

    def replay(self, count: int = 64) -> Iterator[Any]:
        """`count` batches from a few that are kept in memory: `for batch in observed.replay(): step(batch)` measures
        the bound that a loader without any cost would reach.

        For the end of a program or for a run of its own: the steps are real ones. The loader is asked for the few
        batches first; the state of torch's random generator is put back.
        """
        import torch

        state = torch.get_rng_state()
        batches = list(itertools.islice(iter(self.loader), CACHED))
        torch.set_rng_state(state)
        for number in range(count):
            started = now()
            yield batches[number % len(batches)]
            self.record.ideal.append(now() - started)

    def observation(self) -> Observation:
        """What was seen so far, as numbers."""
        return self.record.observation()

    def report(self) -> str:
        """Three lines: what loading costs this training, which settings to try, and what they would give."""
        self.record.say = False  # they need not come again at the end
        return "\n".join(report.lines(self.observation()))

    __str__ = report

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The record as JSON, written to `path` where one is given; under torchrun each rank has a file of its own,
        `observed-rank1.json` for `observed.json`."""
        return written(report.to_json(self.observation()), path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """A page with the three lines, the causes and the waits over time, written to `path` where one is given."""
        return written(html.page(self.observation()), path)


def begun(iterator: Iterator[Any], until: AbstractContextManager[Any]) -> Iterator[Any]:
    """The batches of a generator, which does nothing before the first one; `until` that has come the context holds."""
    with until:
        first = list(itertools.islice(iterator, 1))
    yield from first
    del first
    yield from iterator
