"""Where the time of a batch goes: dataset, transform, collate, between processes, pin, copy.

Each stage is run alone in one process without a loader, except for the way between processes: a loader of one worker
sends the same finished batch repeatedly. What the consumer then waits for is measured by the drive loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from lossimpl.loading.data.tree import walk
from lossimpl.loading.inspection.device_copy import measure_copies
from lossimpl.loading.inspection.result import Cost
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of
from lossimpl.measure.wall import now

TRANSFORMS = ("transform", "transforms", "target_transform")  # torchvision's names, which most datasets follow
MOST_SAMPLES = 512
BATCHES_SENT = 24
END = object()


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
    """Put a clock around each transform of the dataset, and of a dataset inside it (Subset); return the clocks."""
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
    """Samples in the plain order of the dataset, again from the start when it ends; `END` marks each end."""
    while True:
        if is_iterable(dataset):
            yield from iter(dataset)
        else:
            for index in range(length_of(dataset) or 0):
                yield dataset[index]
        yield END


def take(dataset: Any, count: int, seconds: float) -> tuple[list[Any], list[float]]:
    """At least one and at most `count` samples within about `seconds`, and what each took; none of an empty dataset."""
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
    samples, spent = take(workload.dataset, MOST_SAMPLES, seconds)
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


def leaves(batch: Any) -> list[Any]:
    """All tensors of a batch, through mappings, sequences and attributes."""
    import torch

    return [part for _, part in walk(batch, enter=(object,)) if isinstance(part, torch.Tensor)]


def weight(batch: Any) -> tuple[int, int]:
    """How many tensors a batch has, and their bytes: what goes through shared memory."""
    found = leaves(batch)
    return len(found), sum(one.numel() * one.element_size() for one in found)


class Repeated:
    """A dataset of one finished batch, `count` times: its worker does nothing but send."""

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
    except Exception:  # configurations with workers report a batch that cannot be sent, each with its own error
        return None
    later = spent[3:] or spent
    return sum(later) / len(later)


def copies(batch: Any) -> dict[str, float]:
    """Seconds to pin a batch and to copy it to the accelerator; empty without one."""
    import torch

    return measure_copies(leaves(batch)) if torch.cuda.is_available() else {}
