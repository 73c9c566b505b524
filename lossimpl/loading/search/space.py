"""The space of settings: which values of each argument to try on this machine, and all their valid combinations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts, invalid_reason, skip_reason

Axes = Mapping[str, Sequence[Any]]


def worker_counts(cores: int) -> tuple[int, ...]:
    """0, powers of two up to the cores, the cores, and twice as many, for workers that wait rather than compute.

    >>> worker_counts(2), worker_counts(6)
    ((0, 1, 2, 4), (0, 1, 2, 4, 6, 12))
    """
    powers = [1 << exponent for exponent in range(cores.bit_length()) if 1 << exponent <= cores]
    return (0, *sorted({*powers, cores, 2 * cores}))


def default_axes(cores: int, facts: Facts) -> dict[str, tuple[Any, ...]]:
    """The arguments that change how fast data come, with the values to try; None is torch's own default."""
    return {
        "num_workers": worker_counts(cores),
        "persistent_workers": (False, True),
        "prefetch_factor": (None, 4),
        "multiprocessing_context": (None, "forkserver", "spawn"),
        "pin_memory": (False, True) if facts.gpu else (False,),
        "in_order": (True, False),
        **({"worker_method": (None, "thread")} if facts.thread_workers else {}),
    }


def normal(settings: Settings) -> Settings:
    """The settings with arguments that have no effect at their defaults, so that nothing is measured twice."""
    return settings.without_workers() if settings.num_workers == 0 else settings


def product(base: Settings, axes: Axes, facts: Facts) -> list[Settings]:
    """All valid combinations that mean something here, each once.

    >>> axes = {"num_workers": (0, 1), "prefetch_factor": (None, 4)}
    >>> [one.changes(Settings()) for one in product(Settings(), axes, Facts())]
    [{}, {'num_workers': 1}, {'num_workers': 1, 'prefetch_factor': 4}]
    """
    found: dict[Settings, None] = {}
    for values in itertools.product(*axes.values()):
        one = normal(replace(base, **dict(zip(axes, values, strict=True))))
        if invalid_reason(one, facts) is None and skip_reason(one, facts) is None:
            found[one] = None
    return list(found)


def starters(base: Settings, axes: Axes, facts: Facts, cores: int) -> list[Settings]:
    """The settings of the first rounds, the most telling first: no workers, as many as cores, then the other counts.

    With and without workers that are kept, which decides where epochs are short; for each batch size.
    """
    counts = sorted(axes.get("num_workers", (base.num_workers,)), key=lambda count: (count != 0, abs(count - cores)))
    kept = sorted(axes.get("persistent_workers", (base.persistent_workers,)), reverse=True)
    fixed = {name: values[0] for name, values in axes.items() if name not in ("num_workers", "persistent_workers")}
    found = []
    for size in axes.get("batch_size", (base.batch_size,)):
        start = replace(base, **{**fixed, "batch_size": size})
        for count in counts:
            found += product(start, {"num_workers": (count,), "persistent_workers": kept}, facts)
    return list(dict.fromkeys(found))


def twins(settings: Settings, axes: Axes, facts: Facts) -> Iterator[Settings]:
    """Simpler settings that may be as fast: torch's own defaults for each argument, and the next fewer workers."""
    counts = [count for count in axes.get("num_workers", ()) if count < settings.num_workers]
    simpler: list[tuple[str, Any]] = [("num_workers", max(counts))] if counts else []
    simpler += [(name, values[0]) for name, values in axes.items() if name not in ("num_workers", "batch_size")]
    for name, value in simpler:
        yield from (one for one in product(settings, {name: (value,)}, facts) if one != settings)


def variants(settings: Settings, axes: Axes, facts: Facts) -> Iterator[Settings]:
    """Settings that differ in one of the arguments that the first rounds left at their defaults.

    Workers that import everything again are kept, where that is allowed: nothing else could make them the fastest.
    """
    for name, values in axes.items():
        if name in ("num_workers", "persistent_workers", "batch_size"):
            continue
        start = settings
        if name == "multiprocessing_context" and True in axes.get("persistent_workers", ()) and settings.num_workers:
            start = replace(settings, persistent_workers=True)
        yield from (
            one for one in product(start, {name: values}, facts) if getattr(one, name) != getattr(settings, name)
        )
