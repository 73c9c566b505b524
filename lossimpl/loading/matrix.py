"""What each argument changes, on this dataset: one at a time, against `num_workers=0`.

Here the arguments that are meant to change the data (shuffle, drop_last, batch_size, ...) are compared with the
reference too, so that their row says what they do; none of this is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts, invalid_reason, skip_reason
from lossimpl.loading.verdict import SAME

CURE = (
    "draw random numbers from `lossimpl.loading.SampleRNG`, a generator per (seed, epoch, index), and pass a seeded "
    "`generator` for the order: then no argument here can change them"
)


@dataclass(frozen=True)
class Change:
    """One argument's step away from a starting point that is itself part of the matrix."""

    argument: str
    settings: Settings


def changes(base: Settings, facts: Facts, has: Mapping[str, bool]) -> list[Change]:
    """The steps worth showing: from no workers to two, and then one argument at a time with two workers.

    `has` tells which functions the workload brings, so that leaving them out can be tried.
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
    steps += [(name, without(two, name)) for name, present in has.items() if present]
    return [Change(name, one) for name, one in steps if not invalid_reason(one, facts) and not skip_reason(one, facts)]


def without(settings: Settings, name: str) -> Settings:
    """The same settings without one of the workload's own functions."""
    return Settings(**{**asdict(settings), name: False})


def effect(bench: Bench, base: Settings, change: Change, samples: int) -> dict[str, Any]:
    """The record of one change: the verdict against `base` without workers, or the status where it failed."""
    record = bench.blank(change.settings)
    found = bench.judge(change.settings, samples, record, against=base)
    record.update(kind="argument", argument=change.argument, status=found.status, reason=found.reason)
    record["advice"] = found.advice or (CURE if record.get("verdict") not in (None, SAME) else "")
    return record
