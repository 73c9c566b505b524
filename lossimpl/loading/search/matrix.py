"""What each argument changes on this dataset: one at a time, against `num_workers=0`.

Arguments that are meant to change the data (shuffle, drop_last, batch_size, ...) are compared with the reference too,
so that their line says what they do; none of this is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.data.verdict import SAME
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts, invalid_reason, skip_reason

CURE = (
    "draw random numbers from `lossimpl.loading.SampleRNG`, a generator per (seed, epoch, index), and pass a seeded "
    "`generator` for the order: then no argument here can change them"
)


@dataclass(frozen=True)
class Change:
    """Settings that differ in one argument from a starting point that is itself part of the matrix."""

    argument: str
    settings: Settings


def changes(base: Settings, facts: Facts, has: Mapping[str, bool]) -> list[Change]:
    """The changes that are shown: from no workers to two, then one argument at a time with two workers.

    `has`: which functions the workload brings, so that leaving them out can be tried.
    """
    alone = replace(base, num_workers=0)
    two = replace(base, num_workers=2)
    steps = [
        ("generator", replace(alone, generator=0)),
        ("num_workers=1", replace(base, num_workers=1)),
        ("num_workers=2", two),
        ("prefetch_factor", replace(two, prefetch_factor=4)),
        ("persistent_workers", replace(two, persistent_workers=True)),
        ("in_order", replace(two, in_order=False)),
        ("multiprocessing_context", replace(two, multiprocessing_context="forkserver")),
        ("pin_memory", replace(two, pin_memory=True)),
        ("timeout", replace(two, timeout=60.0)),
        ("shuffle", replace(alone, shuffle=True)),
        ("drop_last", replace(alone, drop_last=True)),
        ("batch_size", replace(alone, batch_size=(base.batch_size or 1) + 1)),
    ]
    steps += [(name, replace(two, **{name: False})) for name, present in has.items() if present]  # type: ignore[arg-type]  # all are bool
    return [Change(name, one) for name, one in steps if not invalid_reason(one, facts) and not skip_reason(one, facts)]


def effect(bench: Bench, base: Settings, change: Change, samples: int) -> dict[str, Any]:
    """The line of one change: the verdict against `base` without workers, or the status where it failed."""
    row = bench.judge(bench.blank(change.settings), samples, against=base)
    advice = row.advice or (CURE if row.verdict not in (None, SAME) else "")
    return {**asdict(row), "kind": "argument", "argument": change.argument, "advice": advice}
