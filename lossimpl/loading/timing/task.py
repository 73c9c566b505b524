"""The job that times a loader: build it, warm up, drive it without and beside a step, shut it down."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lossimpl.loading.harness import memory, page_cache
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.timing.consumer import consumer
from lossimpl.loading.timing.counting import counter, full_size
from lossimpl.loading.timing.drive import Drive, Extent
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make
from lossimpl.measure.wall import now

Build = Callable[[Workload, Settings, int], Any]


def time_dataloader(job: Mapping[str, Any], events: Events) -> None:
    """The task: time `DataLoader`, with an event after each phase."""
    time_loader(job, events, build, full_size)


def time_loader(
    job: Mapping[str, Any], events: Events, build: Build, full: Callable[[Workload, Settings], int | None]
) -> None:
    """Time the loader that `build(workload, settings, samples)` makes; `full` gives the size of its full batches."""
    settings = Settings(**job["settings"])
    events.phase("build")
    started = now()
    workload = make(job["dataset"])
    events("built", seconds=now() - started)
    cold = page_cache.drop(workload.files) if job.get("cold") else "warm"
    events.phase("loader")
    loader = build(workload, settings, job["samples"])
    drive = Drive(loader, workload.set_epoch, counter(workload, settings), full(workload, settings))
    time_phases(drive, job, events, settings.prefetched)
    events.phase("shutdown")
    events("shutdown", seconds=drive.stop(), page_cache=cold)


def time_phases(drive: Drive, job: Mapping[str, Any], events: Events, fill: int) -> None:
    """Throughput without a step, from the very first batch on, then the wait beside a step."""
    budget, step = float(job["budget"]), float(job["step"])
    events.phase("first batch")

    def note_memory() -> None:
        events("opened", memory=memory.tree())
        events.phase("throughput")

    used, clock = memory.processor_seconds(), now()
    free = drive.run(Extent(budget * (0.6 if step else 1.0), epochs=2, batches=fill + 5), on_first=note_memory)
    cpu = (memory.processor_seconds() - used) / (now() - clock)
    used_memory = memory.tree()  # before the trace is converted, which takes some
    events("free", trace=free.as_lists(), cpu=cpu, memory=used_memory)
    if step:
        events.phase("step")
        stepped = drive.run(Extent(budget * 0.4, batches=fill + 5), consumer(job["consumer"], step))
        used_memory = memory.tree()
        events("stepped", trace=stepped.as_lists(), memory=used_memory)


def build(workload: Workload, settings: Settings, samples: int) -> Any:
    """`DataLoader` with epochs of at most `samples` samples, in the order that the settings ask for, each another part
    of the dataset: what a dataset keeps of samples that it has read would make later epochs too fast."""
    from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

    arguments = loader_arguments(workload, settings)
    length = length_of(workload.dataset)
    plain = "sampler" not in arguments and "batch_sampler" not in arguments and not is_iterable(workload.dataset)
    if plain and length is not None and samples < length:
        shuffled = arguments.pop("shuffle", False)
        generator = arguments.get("generator")
        order = (
            RandomSampler(workload.dataset, generator=generator) if shuffled else SequentialSampler(workload.dataset)
        )
        arguments["sampler"] = Windows(order, samples)
    return DataLoader(workload.dataset, **arguments)


class Windows:
    """Short epochs: each has the next `count` of what a sampler yields, which starts again when less is left."""

    def __init__(self, sampler: Any, count: int) -> None:
        self.sampler, self.count = sampler, count
        self.rest, self.left = iter(sampler), len(sampler)

    def __iter__(self) -> Iterator[Any]:
        if self.left < self.count:
            self.rest, self.left = iter(self.sampler), len(self.sampler)
        self.left -= self.count
        return itertools.islice(self.rest, self.count)

    def __len__(self) -> int:
        return self.count
