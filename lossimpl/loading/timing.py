"""The drive loop: run one configuration through its phases and write down when each batch came.

Nothing is hashed, printed, sampled or computed while the clock runs: a batch costs one clock reading and one append,
two of each beside a consumer's step. They go into lists, because appending to an `array` costs twice as much. Seconds
are worked out of the readings when all is over, and what they mean in `lossimpl.loading.analysis`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lossimpl.loading import memory, page_cache, peers, workers
from lossimpl.loading.consumer import consumer
from lossimpl.loading.counting import counter, full_size
from lossimpl.loading.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make
from lossimpl.measure.wall import now

EPOCHS_MAX = 1000
OVERTIME = 3.0  # what was begun may take this many times the budget before it is cut short

Step = Callable[[Any], None]


class FirstIndices:
    """The first `count` of what a sampler would yield: the same order, a shorter epoch."""

    def __init__(self, sampler: Any, count: int) -> None:
        self.sampler, self.count = sampler, count

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.sampler), self.count)

    def __len__(self) -> int:
        return self.count


@dataclass
class Trace:
    """What one pass over the loader recorded: readings of the clock, a list item per batch.

    `came`: when each batch came; `done`: when its step was over, where there is one; `samples` of each. For each epoch
    `begun`: (epoch, index of its first batch here, when it began or went on); for each that was opened here `openings`:
    (epoch, seconds of `iter()`); for each that ended `tails`: (epoch, seconds from the last batch to the end).
    `origin`: when the consumer was ready for the second batch; what was done with the first is off the clock.
    """

    came: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    begun: list[tuple[int, int, float]] = field(default_factory=list)
    openings: list[tuple[int, float]] = field(default_factory=list)
    tails: list[tuple[int, float]] = field(default_factory=list)
    origin: float | None = None

    def as_lists(self) -> dict[str, Any]:
        """Seconds, as JSON can hold them: for each batch how long it was waited for (an epoch's first from before
        `iter()` on), its step and the number of its epoch."""
        over = self.done or self.came
        ready = [0.0, *over][: len(over)]
        if self.origin is not None and len(ready) > 1:
            ready[1] = self.origin
        epochs: list[int] = []
        ends = [first for _, first, _ in self.begun[1:]] + [len(over)]
        for (number, first, began), end in zip(self.begun, ends, strict=True):
            if first < end:
                ready[first] = began
            epochs += [number] * (end - first)
        return {
            "wait": [came - before for came, before in zip(self.came, ready, strict=True)],
            "step": [end - came for end, came in zip(over, self.came, strict=True)],
            "samples": self.samples,
            "epoch": epochs,
            "openings": self.openings,
            "tails": self.tails,
        }

    @property
    def start_seconds(self) -> float:
        """The wait for the very first batch."""
        return self.came[0] - self.begun[0][2]


@dataclass(frozen=True)
class Extent:
    """How long to drive: `seconds` from the first batch on, but this many epochs and batches, unless that takes far
    too long. Where starting alone took longer than that, epochs are not waited for."""

    seconds: float
    epochs: int = 0
    batches: int = 0

    def reached(self, trace: Trace, elapsed: float) -> bool:
        """Whether it is enough."""
        if elapsed < self.seconds:
            return False
        costly = trace.start_seconds > self.seconds
        served = (costly or len(trace.tails) >= self.epochs) and len(trace.came) >= self.batches
        return served or elapsed > OVERTIME * self.seconds


@dataclass
class Drive:
    """A loader, driven epoch after epoch; `iterator` is the epoch under way, None between epochs.

    `full` is the size of every batch but the last of an epoch, or None where each batch must be counted.
    """

    loader: Any
    set_epoch: Callable[[int], None] | None
    count: Callable[[Any], int]
    full: int | None = None
    epochs: int = 0
    iterator: Any = None

    def begin(self) -> float:
        """Start an epoch; return the seconds of `iter(loader)`."""
        if self.set_epoch is not None:
            self.set_epoch(self.epochs)
        self.epochs += 1
        workers.forget()
        started = now()
        self.iterator = iter(self.loader)
        return now() - started

    def run(self, extent: Extent, step: Step | None = None, on_first: Callable[[], None] | None = None) -> Trace:
        """Consume batches until the extent is reached, going on in the epoch under way if there is one.

        `on_first` is called, off the clock, after the very first batch.
        """
        trace = Trace()
        while not self.epoch(trace, extent, step, on_first) and len(trace.openings) < EPOCHS_MAX:
            pass
        return trace

    def epoch(self, trace: Trace, extent: Extent, step: Step | None, on_first: Callable[[], None] | None) -> bool:
        """An epoch, its rest, or its part until the extent is reached; whether it was, or the epoch was empty."""
        fresh = self.iterator is None
        before = now()
        if fresh:
            trace.openings.append((self.epochs, self.begin()))
        trace.begun.append((self.epochs - 1, len(trace.came), before))
        count = self.count if self.full is None else None
        note, note_done, note_samples = trace.came.append, trace.done.append, trace.samples.append
        batch, limit = None, -math.inf if trace.origin is None else trace.origin + extent.seconds
        for batch in self.iterator:
            before = now()
            note(before)
            if step is not None:
                step(batch)
                before = now()
                note_done(before)
            if count is not None:
                note_samples(count(batch))
            if before > limit:
                if trace.origin is None:
                    before = self.start(trace, on_first)
                    limit = before + extent.seconds
                elif extent.reached(trace, before - trace.origin):
                    self.fill_in(trace, batch)
                    return True
        self.fill_in(trace, batch)
        trace.tails.append((self.epochs - 1, now() - before))
        self.iterator = None
        return fresh if trace.origin is None else extent.reached(trace, now() - trace.origin)

    def start(self, trace: Trace, on_first: Callable[[], None] | None) -> float:
        """The very first batch has come: what is done with it is off the clock, which starts now."""
        if on_first is not None:
            on_first()
        trace.origin = now()
        return trace.origin

    def fill_in(self, trace: Trace, last: Any) -> None:
        """The samples of batches that are known to be full, but for the last one, which is counted."""
        missing = len(trace.came) - len(trace.samples)
        if missing and self.full is not None:
            trace.samples.extend([self.full] * (missing - 1))
            trace.samples.append(self.count(last))

    def stop(self) -> float:
        """Let the workers go; return the seconds that this took."""
        started = now()
        self.iterator = None
        if hasattr(self.loader, "_iterator"):
            self.loader._iterator = None
        return now() - started


def work(job: Mapping[str, Any], events: Events) -> None:
    """Build, warm up, measure without and with a consumer's step, shut down; an event after each."""
    settings = Settings(**job["settings"])
    events.phase("build")
    started = now()
    workload = make(job["dataset"])
    events("built", seconds=now() - started)
    cold = page_cache.drop(workload.files) if job.get("cold") else "warm"
    events.phase("loader")
    make_loader = partial(peers.build, job["peer"]) if job.get("peer") else build
    loader = make_loader(workload, settings, job.get("samples"))
    full = None if job.get("peer") else full_size(workload, settings)
    drive = Drive(loader, workload.set_epoch, counter(workload, settings), full)
    measure_phases(drive, job, events, settings.prefetched)
    events.phase("shutdown")
    events("shutdown", seconds=drive.stop(), page_cache=cold)


def measure_phases(drive: Drive, job: Mapping[str, Any], events: Events, fill: int) -> None:
    """Throughput without a step, from the very first batch on, then the wait beside a step."""
    budget, step = float(job["budget"]), float(job.get("step") or 0.0)
    events.phase("first batch")

    def note_memory() -> None:
        events("opened", memory=memory.tree())
        events.phase("throughput")

    used, clock = memory.processor_seconds(), now()
    free = drive.run(Extent(budget * (0.6 if step else 1.0), epochs=2, batches=fill + 5), on_first=note_memory)
    cpu = (memory.processor_seconds() - used) / (now() - clock)
    used_memory = memory.tree()  # before the trace is worked out, which takes some
    events("free", trace=free.as_lists(), cpu=cpu, memory=used_memory)
    if step:
        events.phase("step")
        act = consumer(job.get("consumer", "sleep"), step)
        stepped = drive.run(Extent(budget * 0.4, batches=fill + 5), act)
        used_memory = memory.tree()
        events("stepped", trace=stepped.as_lists(), memory=used_memory)


def build(workload: Workload, settings: Settings, samples: int | None) -> Any:
    """The loader; with `samples`, its epochs are cut to that many, in the order that the settings ask for."""
    from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

    arguments = loader_arguments(workload, settings)
    length = length_of(workload.dataset)
    plain = "sampler" not in arguments and "batch_sampler" not in arguments and not is_iterable(workload.dataset)
    if plain and samples is not None and length is not None and samples < length:
        shuffled = arguments.pop("shuffle", False)
        generator = arguments.get("generator")
        order = (
            RandomSampler(workload.dataset, generator=generator) if shuffled else SequentialSampler(workload.dataset)
        )
        arguments["sampler"] = FirstIndices(order, samples)
    return DataLoader(workload.dataset, **arguments)
