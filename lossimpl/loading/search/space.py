"""The space of settings: which values of each argument to try on this machine, and all their valid combinations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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
        "prefetch_factor": (None, 4),
        "persistent_workers": (False, True),
        "multiprocessing_context": (None, "forkserver", "spawn"),
        "pin_memory": (False, True) if facts.gpu else (False,),
        "in_order": (True, False),
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


def one_at_a_time(base: Settings, axes: Axes, facts: Facts) -> list[Settings]:
    """The base, then each valid setting that differs from it in one argument."""
    singles = [product(base, {name: values}, facts) for name, values in axes.items()]
    return list(dict.fromkeys([base, *itertools.chain.from_iterable(singles)]))
