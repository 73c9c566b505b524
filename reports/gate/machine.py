"""What the machine did while a pair of processes ran."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

from lossimpl.measure import wall

LOOP = 50_000  # iterations without memory access, whose time shows the clock


def state() -> dict[str, float]:
    """Processor seconds of the machine by kind, those of this process and its ended children, and a fixed loop."""
    times = psutil.cpu_times()
    own = os.times()
    return {
        "spent": times.user + times.nice + times.system + times.irq + times.softirq,
        "steal": times.steal,
        "own": own.user + own.system + own.children_user + own.children_system,
        "now": wall.now(),
        "loop": min(_loop() for _ in range(3)),  # the best, since interruptions only add
    }


def _loop() -> float:
    started = wall.now()
    for _ in range(LOOP):
        pass
    return wall.now() - started


def since(before: Mapping[str, float]) -> dict[str, float]:
    """Shares of processor time that other processes and the hypervisor took since `before`, and the slower loop."""
    after = state()
    passed = {name: after[name] - value for name, value in before.items()}
    capacity = max(passed["now"] * (os.cpu_count() or 1), 1e-9)
    return {
        "others": max(0.0, passed["spent"] - passed["own"]) / capacity,
        "steal": passed["steal"] / capacity,
        "loop": max(before["loop"], after["loop"]),
    }
