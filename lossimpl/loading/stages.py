"""Where the time of a batch goes: dataset, transform, collate, between processes, pin, copy.

Each stage is run alone in one process without a loader, but for the way between processes, which is a loader of one
worker that sends the same finished batch again and again. The wait, the last part of the waterfall, is what the drive
loop measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of
from lossimpl.measure.wall import now

TRANSFORMS = ("transform", "transforms", "target_transform")  # torchvision's names, which most datasets follow
SAMPLES_MOST = 512
BATCHES_SENT = 24
END = object()


@dataclass(frozen=True)
class Cost:
    """Seconds per batch of each stage in the loader's process, and the size of a batch.

    `tensors` and `bytes` are those of one batch; `sample_seconds` is dataset and transform together, per sample.
    """

    sample_seconds: float
    dataset: float
    transform: float
    collate: float
    tensors: int
    bytes: int
    samples: int


@dataclass(frozen=True)
class Gathered:
    """The first samples, the seconds that all of them took, and how many of these in transforms."""

    samples: list[Any]
    seconds: float
    in_transforms: float


@dataclass(frozen=True)
class Probe:
    """The cost of the stages and the batch that they made."""

    cost: Cost
    batch: Any


class Timed:
    """A transform that adds up the seconds spent in it."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner, self.seconds = inner, 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        started = now()
        try:
            return self.inner(*args, **kwargs)
        finally:
            self.seconds += now() - started

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


def timed_transforms(dataset: Any) -> list[Timed]:
    """Put a clock around each transform of the dataset, and of the one inside a Subset; return the clocks."""
    clocks = []
    while dataset is not None:
        for name in TRANSFORMS:
            inner = getattr(dataset, name, None)
            if callable(inner) and not isinstance(inner, type):
                clocks.append(Timed(inner))
                setattr(dataset, name, clocks[-1])
        dataset = vars(dataset).get("dataset") if hasattr(dataset, "__dict__") else None
    return clocks


def source(dataset: Any) -> Iterator[Any]:
    """Samples in the plain order of the dataset, again from the start when it ends, which is told by `END`."""
    while True:
        if is_iterable(dataset):
            yield from iter(dataset)
        else:
            for index in range(length_of(dataset) or 0):
                yield dataset[index]
        yield END


def take(dataset: Any, count: int, seconds: float) -> tuple[list[Any], list[float]]:
    """At least one and at most `count` samples within about `seconds`, and what each took; of no data, none."""
    samples: list[Any] = []
    spent: list[float] = []
    end, items = now() + seconds, source(dataset)
    while len(samples) < count and (not samples or now() < end):
        started = now()
        item = next(items)
        if item is not END:
            spent.append(now() - started)
            samples.append(item)
        elif not samples:
            break
    return samples, spent


def gather(workload: Workload, seconds: float) -> Gathered:
    """Take samples for about `seconds`, with a clock around each transform."""
    take(workload.dataset, 1, 0.0)
    clocks = timed_transforms(workload.dataset)
    samples, spent = take(workload.dataset, SAMPLES_MOST, seconds)
    return Gathered(samples, sum(spent), sum(clock.seconds for clock in clocks))


def probe(gathered: Gathered, workload: Workload, settings: Settings, seconds: float) -> Probe:
    """Time the stages of one batch; where a whole batch would take too long, samples are used again to fill it."""
    from torch.utils.data import default_collate, default_convert

    size, samples = settings.batch_size or 1, gathered.samples
    collate = workload.collate_fn if settings.collate_fn else None
    if settings.batch_size is None:
        first: Any = samples[0]
        each, batch = timed(lambda: (collate or default_convert)(first), seconds)
    else:
        full = [samples[index % len(samples)] for index in range(size)]
        each, batch = timed(lambda: (collate or default_collate)(full), seconds)
    per_sample, inside = gathered.seconds / len(samples), gathered.in_transforms / len(samples)
    tensors, total = weight(batch)
    cost = Cost(per_sample, (per_sample - inside) * size, inside * size, each, tensors, total, len(samples))
    return Probe(cost, batch)


def timed(call: Callable[[], Any], seconds: float) -> tuple[float, Any]:
    """The median seconds of a call that is repeated for about `seconds`, three times at least, and its last result."""
    spent: list[float] = []
    end = now() + seconds
    while len(spent) < 3 or (now() < end and len(spent) < 50):
        started = now()
        result = call()
        spent.append(now() - started)
    return median(spent), result


def leaves(batch: Any) -> Iterator[Any]:
    """All tensors of a batch, through mappings, sequences and attributes."""
    import torch

    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, dict):
        for item in batch.values():
            yield from leaves(item)
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from leaves(item)
    elif hasattr(batch, "__dict__"):
        yield from leaves(vars(batch))


def weight(batch: Any) -> tuple[int, int]:
    """How many tensors a batch has, and their bytes: what goes through shared memory."""
    found = list(leaves(batch))
    return len(found), sum(one.numel() * one.element_size() for one in found)


class Repeated:
    """A dataset of finished batches that are all the same: a worker that does nothing but send."""

    def __init__(self, batch: Any, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.batch


def unchanged(batch: Any) -> Any:
    """A collate that does nothing."""
    return batch


def between_processes(batch: Any, seconds: float) -> float | None:
    """Seconds per batch on the way from a worker to the consumer; None where the batch cannot be sent."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(Repeated(batch, BATCHES_SENT), batch_size=None, num_workers=1, collate_fn=unchanged)  # type: ignore[arg-type]  # a dataset by duck typing
    spent: list[float] = []
    end = now() + max(seconds, 0.1)
    try:
        before = now()
        for _ in loader:
            spent.append(now() - before)
            before = now()
            if before > end and len(spent) > 4:
                break
    except Exception:  # a batch that cannot be sent is told by the configurations with workers, each in its own words
        return None
    later = spent[3:] or spent
    return sum(later) / len(later)


def copies(batch: Any) -> dict[str, Any]:
    """Seconds to pin a batch and to copy it to the accelerator; without one, the reason why there are none."""
    import torch

    if not torch.cuda.is_available():
        return {"status": "skipped", "reason": "not applicable: no accelerator to copy to"}
    from lossimpl.loading.device_copy import measure_copies

    return {"status": "ok", **measure_copies(list(leaves(batch)))}
