"""What happens where batches are made, in a worker or in the loader's own process: one record per batch.

The fetcher of torch (and of torchdata) makes a batch in two parts: the dataset's samples, then `collate_fn`. Both are
timed by wrapping the one fetcher object; the batch itself is passed on untouched. Transforms are timed in some batches
only, because they are called once per sample. A worker appends its records to a file of its own, which the loader's
process reads when the epoch has ended; `perf_counter` is one clock for all processes of a machine.
"""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lossimpl.loading.inspection.transforms import Timed, timed_transforms
from lossimpl.measure.wall import now

RECORD = struct.Struct("<7d")
FIRST, EVERY = 4, 16  # batches whose transforms are timed: the first, and one of so many later
SHORT = 1e-3  # seconds; once `SURE` batches were all shorter, the loader's process traces only one of `EVERY`
SURE = 8


class Made(NamedTuple):
    """One batch as it was made: the epoch of its worker, clock readings, processor seconds of the process so far and of
    the batch, and seconds in transforms, negative where these were not timed."""

    epoch: float
    started: float
    collated: float
    ended: float
    processor: float
    work: float
    in_transforms: float


@dataclass
class Tracer:
    """Records what one process makes; `write` takes each record. `sparse`: short batches are traced now and then only,
    as in the loader's own process, where tracing delays the training."""

    write: Callable[[Made], object]
    sparse: bool = False
    epoch: int = -1
    count: int = 0
    collated: float = 0.0
    longest: float = 0.0

    def attach(self, fetcher: Any) -> Any:
        """Wrap a fetcher, which torch makes anew for each epoch; the same object comes back."""
        self.epoch += 1
        fetch, collate = fetcher.fetch, fetcher.collate_fn

        def timed_collate(data: Any) -> Any:
            self.collated = now()
            return collate(data)

        def timed_fetch(index: Any) -> Any:
            self.count += 1
            if self.sparse and self.count > SURE and self.count % EVERY and self.longest < SHORT:
                return fetch(index)
            clocks = timed_transforms(fetcher.dataset) if self.count <= FIRST or self.count % EVERY == 0 else []
            before = processor_seconds()
            started = self.collated = now()
            try:
                batch = fetch(index)
            finally:  # also where the dataset raises, or a stream ends
                ended, spent, inside = now(), processor_seconds(), put_back(clocks)
            self.longest = max(self.longest, ended - started) if self.count > 1 else 0.0
            self.write(Made(self.epoch, started, self.collated, ended, spent, spent - before, inside))
            return batch

        fetcher.collate_fn, fetcher.fetch = timed_collate, timed_fetch
        return fetcher


def processor_seconds() -> float:
    """Processor seconds of all threads of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def put_back(clocks: Sequence[Timed]) -> float:
    """Take the clocks off again; the seconds that they counted, negative where there were none."""
    for clock in reversed(clocks):
        clock.put_back()
    return sum(clock.seconds for clock in clocks) if clocks else -1.0


@dataclass(frozen=True)
class InWorker:
    """A `worker_init_fn` that calls the user's own and then traces the fetchers of this worker."""

    inner: Callable[[int], None] | None
    folder: str
    generation: int

    def __call__(self, worker: int) -> None:
        from torch.utils.data import _DatasetKind

        if self.inner is not None:
            self.inner(worker)
        path = Path(self.folder, f"{self.generation}-{worker}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        tracer = Tracer(lambda made: os.write(descriptor, RECORD.pack(*made)))
        kinds: Any = _DatasetKind
        create = kinds.create_fetcher
        kinds.create_fetcher = staticmethod(lambda *given: tracer.attach(create(*given)))  # in this worker alone


@contextmanager
def traced_fetchers(tracer: Tracer, dataset: Any) -> Iterator[None]:
    """Trace the fetchers of this dataset that are made meanwhile, where the iterator that holds them cannot be seen."""
    from torch.utils.data import _DatasetKind

    kinds: Any = _DatasetKind
    create = kinds.create_fetcher

    def traced(kind: Any, data: Any, *given: Any) -> Any:
        made = create(kind, data, *given)
        return tracer.attach(made) if data is dataset else made

    kinds.create_fetcher = staticmethod(traced)
    try:
        yield
    finally:
        kinds.create_fetcher = staticmethod(create)


@dataclass
class Log:
    """The records of one generation of workers, read as they come: a worker that is kept goes on writing."""

    folder: str
    generation: int
    workers: int
    places: dict[int, int] = field(default_factory=dict)

    def new(self) -> dict[int, list[Made]]:
        """The records of each worker since the last call, without those of an earlier epoch that was abandoned."""
        found = {worker: self.of(worker) for worker in range(self.workers)}
        latest = max((one.epoch for records in found.values() for one in records), default=0.0)
        return {worker: [one for one in records if one.epoch == latest] for worker, records in found.items()}

    def of(self, worker: int) -> list[Made]:
        """The new records of one worker; a worker that died may have left none."""
        path = Path(self.folder, f"{self.generation}-{worker}")
        try:
            with path.open("rb") as file:
                file.seek(self.places.get(worker, 0))
                data = file.read()
        except OSError:
            return []
        whole = len(data) - len(data) % RECORD.size
        self.places[worker] = self.places.get(worker, 0) + whole
        return [Made(*values) for values in RECORD.iter_unpack(data[:whole])]
