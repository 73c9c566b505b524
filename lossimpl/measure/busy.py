"""Did other processes use the processor during a measurement?

Two counters of the kernel answer: the time that the hypervisor gave to other guests (steal), and the time that
processes other than ours spent running. Both are differences over the measurement itself, so an old load average
cannot mislead. Counters tick in hundredths of a second; less than three ticks prove nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

TICKS_NEEDED = 3
STEAL_ALLOWED = 0.02  # of the machine's processor time: at 2 percent a median moves by about as much as it is precise
OTHERS_ALLOWED = 0.10


@dataclass(frozen=True)
class Counters:
    """Processor seconds since boot: stolen, spent by anybody, spent by this process; and the clock, in seconds."""

    stolen: float
    spent: float
    own: float
    clock: float


def read() -> Counters:
    """The counters now. A kernel that hides them yields zeros, and then nothing is reported."""
    times = psutil.cpu_times()
    spent = times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    own = os.times()
    return Counters(getattr(times, "steal", 0.0), spent + times.nice, own.user + own.system, time.perf_counter())


def judge(before: Counters, after: Counters, cores: int) -> str:
    """A warning about what ran between the two readings, or the empty string."""
    capacity = (after.clock - before.clock) * cores
    tick = 1 / os.sysconf("SC_CLK_TCK")
    stolen = after.stolen - before.stolen
    others = (after.spent - before.spent) - (after.own - before.own)
    if capacity <= 0:
        return ""
    if stolen >= TICKS_NEEDED * tick and stolen > STEAL_ALLOWED * capacity:
        return f"the hypervisor took {stolen / capacity:.0%} of the processor time"
    if others >= TICKS_NEEDED * tick and others > OTHERS_ALLOWED * capacity:
        return f"other processes took {others / capacity:.0%} of the processor time"
    return ""


class Watch:
    """Counts from its making on: `Watch().verdict()` reports what ran beside us since."""

    def __init__(self) -> None:
        self.before = read()

    def verdict(self) -> str:
        """A warning about what ran beside us since this watch was made, or the empty string."""
        return judge(self.before, read(), psutil.cpu_count() or 1)
