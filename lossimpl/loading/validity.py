"""Which settings can run at all: the rules of `DataLoader`, those that it checks late included.

A rule yields why a combination is invalid, naming the argument. The search generates only valid combinations; a user's
own request that is not ends as status `invalid` with all reasons.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lossimpl.loading.settings import CHOICES, CONTEXTS, WORKER_DEFAULTS, Settings


@dataclass(frozen=True)
class Facts:
    """What the rules need to know of a workload: filled by the inspection of the user's dataset.

    `length` is None where the dataset has no `len`. `gpu`: whether there is an accelerator to pin memory for.
    `thread_workers`: whether the installed torch has them.
    """

    iterable: bool = False
    length: int | None = None
    has_sampler: bool = False
    has_batch_sampler: bool = False
    gpu: bool = False
    thread_workers: bool = False


def invalid_reason(settings: Settings, facts: Facts) -> str | None:
    """Every reason why these settings cannot run on such a dataset, or None.

    >>> invalid_reason(Settings(prefetch_factor=4), Facts())
    'prefetch_factor: needs num_workers of 1 or more, got 0'
    """
    return (
        "; ".join(
            [
                *out_of_range(settings),
                *contradictions(settings),
                *clashes(settings, facts),
                *unavailable(settings, facts),
            ]
        )
        or None
    )


def out_of_range(settings: Settings) -> Iterator[str]:
    """Values that no loader takes, or that it would wait on forever."""
    if settings.num_workers < 0:
        yield f"num_workers: expected 0 or more, got {settings.num_workers}"
    if settings.batch_size is not None and settings.batch_size < 1:
        yield f"batch_size: expected 1 or more, got {settings.batch_size}"
    if settings.timeout < 0 or not math.isfinite(settings.timeout):
        yield f"timeout: expected a finite number of seconds from 0, got {settings.timeout}"
    if settings.prefetch_factor is not None and settings.prefetch_factor < 1:
        yield f"prefetch_factor: expected 1 or more, got {settings.prefetch_factor}: no batch would be requested"
    if settings.generator is not None and not -(2**63) <= settings.generator < 2**64:
        yield f"generator: expected a seed of 64 bits, got {settings.generator}"
    if settings.multiprocessing_context not in (None, *CONTEXTS):
        name = settings.multiprocessing_context
        yield f"multiprocessing_context: expected one of {', '.join(CONTEXTS)}, got {name!r}"


def contradictions(settings: Settings) -> Iterator[str]:
    """Arguments that exclude each other on every dataset."""
    refused = [name for name in WORKER_DEFAULTS if name != "in_order"]  # which torch ignores without workers
    if settings.num_workers <= 0 and (named := [n for n in refused if getattr(settings, n) != WORKER_DEFAULTS[n]]):
        yield f"{', '.join(named)}: needs num_workers of 1 or more, got 0"
    if settings.batch_size is None and settings.drop_last:
        yield "drop_last: needs a batch_size, got None"


def clashes(settings: Settings, facts: Facts) -> Iterator[str]:
    """Arguments that this dataset, or a sampler that it brings, excludes."""
    sampler = facts.has_sampler and settings.sampler
    batch_sampler = facts.has_batch_sampler and settings.batch_sampler
    others = {"batch_size": settings.batch_size != 1, "shuffle": settings.shuffle, "sampler": sampler}
    if batch_sampler and (named := used({**others, "drop_last": settings.drop_last})):
        yield f"batch_sampler: decides the batches itself, so it excludes {named}"
    if sampler and settings.shuffle:
        yield "sampler: decides the order itself, so it excludes shuffle"
    orders = {"shuffle": settings.shuffle, "sampler": sampler, "batch_sampler": batch_sampler}
    if facts.iterable and (named := used(orders)):
        yield f"{named}: an IterableDataset decides its own order"
    if settings.drop_last and facts.length and settings.batch_size and settings.batch_size > facts.length:
        size = settings.batch_size
        yield f"drop_last: drops all {facts.length} samples, which do not fill one batch of {size}"


def unavailable(settings: Settings, facts: Facts) -> Iterator[str]:
    """Arguments that the installed torch does not have."""
    if settings.worker_method not in (None, *CHOICES["worker_method"]):
        yield f"worker_method: expected one of process, thread, got {settings.worker_method!r}"
    elif settings.worker_method is not None and not facts.thread_workers:
        yield "worker_method: the installed torch has no such argument"
    elif settings.worker_method == "thread" and settings.multiprocessing_context is not None:
        yield "worker_method: threads exclude multiprocessing_context"


def used(arguments: Mapping[str, bool]) -> str:
    """The names of the arguments that are used."""
    return ", ".join(name for name, is_used in arguments.items() if is_used)


def skip_reason(settings: Settings, facts: Facts) -> str | None:
    """Why the settings are valid but would measure nothing here, or None."""
    if settings.pin_memory and not (facts.gpu and has_driver()):
        return "not applicable: pin_memory helps only copies to an accelerator, and there is none"
    return None


def has_driver() -> bool:
    """Whether the machine has the driver of an accelerator at all, found without importing torch."""
    return any(os.path.exists(path) for path in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd"))
