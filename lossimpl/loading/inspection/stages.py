"""Where the time of a batch goes: dataset, transform, collate, between processes, pin, copy.

Each stage is run alone in one process without a loader, except for the way between processes: a loader of one worker
sends the same finished batch repeatedly. What the consumer then waits for is measured by the drive loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from lossimpl import wording
from lossimpl.loading.data.tree import walk
from lossimpl.loading.inspection.device_copy import measure_copies
from lossimpl.loading.inspection.result import Cost, Finding
from lossimpl.loading.inspection.transforms import timed_transforms
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of
from lossimpl.measure.wall import now

MOST_SAMPLES = 512
LONG_SECONDS = 1.0  # a call that takes so long is not repeated
SLOWEST = 3  # that are named
LATE_TIMES, LATE_SECONDS = 3.0, 0.005  # times the slowest of the first samples, and at least so long
BATCHES_SENT = 24
END = object()


class Taken(NamedTuple):
    """A sample with its number in the order of an epoch and the seconds that it took."""

    number: int
    sample: Any
    seconds: float


@dataclass(frozen=True)
class Gathered:
    """The first samples, those of them that were timed, and the seconds of all these in transforms.

    The very first sample warms up, so that it is timed only where there is no other.
    """

    samples: list[Any]
    timed: list[Taken]
    in_transforms: float

    @property
    def spent(self) -> list[float]:
        """The seconds of each sample that was timed."""
        return [one.seconds for one in self.timed]

    @property
    def slowest(self) -> tuple[tuple[int, float], ...]:
        """The samples that took longest, by their numbers; those that were read repeatedly once."""
        longest = {one.number: one.seconds for one in sorted(self.timed, key=lambda one: one.seconds)}
        return tuple(sorted(longest.items(), key=lambda one: -one[1])[:SLOWEST])


@dataclass(frozen=True)
class Probe:
    """The cost of the stages and the batch that they made."""

    cost: Cost
    batch: Any


def indices(workload: Workload) -> Iterator[Any]:
    """The indices in the order of the workload's own sampler, else the plain one."""
    if workload.sampler is not None:
        yield from workload.sampler
    elif workload.batch_sampler is not None:
        yield from itertools.chain.from_iterable(workload.batch_sampler)
    else:
        yield from range(length_of(workload.dataset) or 0)


def source(workload: Workload) -> Iterator[Any]:
    """Samples in order, each with its number, again from the start when it ends; `END` marks each end."""
    while True:
        if is_iterable(workload.dataset):
            yield from enumerate(workload.dataset)
        else:
            for number, index in enumerate(indices(workload)):
                yield number, workload.dataset[index]
        yield END


def take(samples: Iterator[Any], count: int, seconds: float) -> list[Taken]:
    """At least one and at most `count` samples within about `seconds`; none of an empty dataset."""
    taken: list[Taken] = []
    end = now() + seconds
    while len(taken) < count and (not taken or now() < end):
        started = now()
        item = next(samples)
        if item is END and not taken and (item := next(samples)) is END:
            break
        if item is not END:
            number, sample = item
            taken.append(Taken(number, sample, now() - started))
    return taken


def gather(workload: Workload, seconds: float) -> Gathered:
    """Take samples for about `seconds`, with a clock around each transform.

    Where the first sample alone takes so long, it is what is known of the others.
    """
    clocks = timed_transforms(workload.dataset)
    samples = source(workload)
    first, later = take(samples, 1, 0.0), []
    if first and first[0].seconds < seconds:
        for clock in clocks:
            clock.seconds = 0.0
        later = take(samples, MOST_SAMPLES, seconds)
    taken = [one.sample for one in (*first, *later)]
    return Gathered(taken, later or first, sum(clock.seconds for clock in clocks))


def late_samples(workload: Workload, gathered: Gathered) -> Iterator[Finding]:
    """Whether a sample from the middle and the last one can be made, and cost what the first ones do."""
    length = length_of(workload.dataset) or 0
    if is_iterable(workload.dataset) or workload.sampler or workload.batch_sampler or length <= len(gathered.samples):
        return
    for index in (length // 2, length - 1):
        started = now()
        try:
            workload.dataset[index]
        except Exception as error:
            what = f"sample {index} of {length:,} raises {type(error).__name__}: {str(error)[:100]}"
            yield Finding("late samples", what, "only the first samples were measured: check this one")
            continue
        spent, usual = now() - started, median(gathered.spent)
        if spent > max(LATE_TIMES * max(gathered.spent), LATE_SECONDS):
            what = (
                f"sample {index} of {length:,} takes {wording.seconds(spent)}, the first ones {wording.seconds(usual)}"
            )
            yield Finding("late samples", what, "rates and times of an epoch are those of the first samples")


def probe(gathered: Gathered, workload: Workload, settings: Settings, seconds: float) -> Probe:
    """Time the stages of one batch; where a whole batch would take too long, samples are used again to fill it."""
    from torch.utils.data import default_collate, default_convert

    size, samples = settings.batch_size or 1, gathered.samples
    collate = workload.collate_fn if settings.collate_fn else None
    if settings.batch_size is None:
        first: Any = samples[0]
        each, batch = timed(lambda: (collate or default_convert)(first), seconds)
    else:
        full = whole_batch(workload, samples, size)
        each, batch = timed(lambda: (collate or default_collate)(full), seconds)
    count = len(gathered.timed)
    per_sample, inside = sum(gathered.spent) / count, gathered.in_transforms / count
    tensors, total = weight(batch)
    of_batch = ((per_sample - inside) * size, inside * size, each, tensors, total)
    return Probe(Cost(per_sample, *of_batch, samples=count, batch=size, slowest=gathered.slowest), batch)


def whole_batch(workload: Workload, samples: list[Any], size: int) -> Any:
    """What collate gets: a list of samples, or what the dataset's `__getitems__` makes of a whole batch."""
    fetch = getattr(workload.dataset, "__getitems__", None)
    if fetch and not is_iterable(workload.dataset):
        return fetch(list(itertools.islice(itertools.cycle(indices(workload)), size)))
    return [samples[index % len(samples)] for index in range(size)]


def timed(call: Callable[[], Any], seconds: float) -> tuple[float, Any]:
    """The median seconds of a call that is repeated for about `seconds`, and three times unless that takes long; and
    its last result."""
    spent: list[float] = []
    end = now() + seconds
    while (len(spent) < 3 and sum(spent) < LONG_SECONDS) or (now() < end and len(spent) < 50):
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
