"""Which settings can run at all: the rules of `DataLoader`, and those that only fail later, in one table.

A rule returns the reason why a combination is invalid, in words that name the argument, or None. The sweep generates
only combinations without a reason; a user's own request that has one ends as status `invalid` with all of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from lossimpl.loading.settings import CONTEXTS, Settings


@dataclass(frozen=True)
class Facts:
    """What the rules need to know of a workload: filled by the inspection of the user's dataset.

    `length` is None where the dataset has no `len`. `gpu` says whether there is an accelerator to pin memory for.
    """

    iterable: bool = False
    length: int | None = None
    has_sampler: bool = False
    has_batch_sampler: bool = False
    gpu: bool = False


Rule = Callable[[Settings, Facts], str | None]


def _range(settings: Settings, facts: Facts) -> str | None:
    del facts
    if settings.num_workers < 0:
        return f"num_workers: expected 0 or more, got {settings.num_workers}"
    if settings.batch_size is not None and settings.batch_size < 1:
        return f"batch_size: expected 1 or more, got {settings.batch_size}"
    if settings.timeout < 0 or not math.isfinite(settings.timeout):
        return f"timeout: expected a finite number of seconds from 0, got {settings.timeout}"
    if settings.prefetch_factor is not None and settings.prefetch_factor < 1:
        return f"prefetch_factor: expected 1 or more, got {settings.prefetch_factor}: nothing would ever be requested"
    if settings.generator is not None and not -(2**63) <= settings.generator < 2**64:
        return f"generator: expected a seed of 64 bits, got {settings.generator}"
    return None


def _workers(settings: Settings, facts: Facts) -> str | None:
    del facts
    if settings.num_workers > 0:
        return None
    needs = {
        "prefetch_factor": settings.prefetch_factor is not None,
        "persistent_workers": settings.persistent_workers,
        "multiprocessing_context": settings.multiprocessing_context is not None,
        "timeout": settings.timeout > 0,
    }
    named = [name for name, used in needs.items() if used]
    return f"{', '.join(named)}: needs num_workers of 1 or more, got 0" if named else None


def _context(settings: Settings, facts: Facts) -> str | None:
    del facts
    name = settings.multiprocessing_context
    if name is None or name in CONTEXTS:
        return None
    return f"multiprocessing_context: expected one of {', '.join(CONTEXTS)}, got {name!r}"


def _batch_sampler(settings: Settings, facts: Facts) -> str | None:
    if not (facts.has_batch_sampler and settings.batch_sampler):
        return None
    clashes = {
        "batch_size": settings.batch_size != 1,
        "shuffle": settings.shuffle,
        "sampler": facts.has_sampler and settings.sampler,
        "drop_last": settings.drop_last,
    }
    named = [name for name, used in clashes.items() if used]
    return f"batch_sampler: decides the batches itself, so it excludes {', '.join(named)}" if named else None


def _sampler(settings: Settings, facts: Facts) -> str | None:
    if facts.has_sampler and settings.sampler and settings.shuffle:
        return "sampler: decides the order itself, so it excludes shuffle"
    return None


def _iterable(settings: Settings, facts: Facts) -> str | None:
    if not facts.iterable:
        return None
    clashes = {
        "shuffle": settings.shuffle,
        "sampler": facts.has_sampler and settings.sampler,
        "batch_sampler": facts.has_batch_sampler and settings.batch_sampler,
    }
    named = [name for name, used in clashes.items() if used]
    return f"{', '.join(named)}: an IterableDataset decides its own order" if named else None


def _no_batching(settings: Settings, facts: Facts) -> str | None:
    del facts
    if settings.batch_size is None and settings.drop_last:
        return "drop_last: needs a batch_size, got None"
    return None


def _nothing_left(settings: Settings, facts: Facts) -> str | None:
    if settings.drop_last and facts.length and settings.batch_size and settings.batch_size > facts.length:
        return f"drop_last: drops all {facts.length} samples, which do not fill one batch of {settings.batch_size}"
    return None


RULES: tuple[Rule, ...] = (_range, _workers, _context, _batch_sampler, _sampler, _iterable, _no_batching, _nothing_left)


def invalid_reason(settings: Settings, facts: Facts) -> str | None:
    """Every reason why these settings cannot run on such a dataset, or None.

    >>> invalid_reason(Settings(prefetch_factor=4), Facts())
    'prefetch_factor: needs num_workers of 1 or more, got 0'
    """
    reasons = [reason for rule in RULES if (reason := rule(settings, facts))]
    return "; ".join(reasons) or None


def skip_reason(settings: Settings, facts: Facts) -> str | None:
    """Why the settings are valid but would measure nothing here, or None."""
    if settings.pin_memory and not (facts.gpu and has_driver()):
        return "not applicable: pin_memory copies into memory that only an accelerator reads faster, and there is none"
    return None


def has_driver() -> bool:
    """Whether the machine has the driver of an accelerator at all: known without importing torch."""
    return any(os.path.exists(path) for path in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd"))
