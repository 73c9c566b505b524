"""Memory and processor time of the training process and its workers, looked at between epochs and rarely.

Reading the memory of a large process takes milliseconds, so another look is taken only when a thousand times as long
has passed as the last one took.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from lossimpl.loading.harness.memory import processor_seconds, pss
from lossimpl.loading.harness.processes import descendants
from lossimpl.measure.wall import now

SHARE = 1000


@dataclass
class Meter:
    """The most memory seen, and processor seconds from the first look to the last."""

    memory: int = 0
    processes: int = 1
    first: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    next_look: float = 0.0

    def look(self, at: float) -> None:
        """Take a look, unless it would cost more than a thousandth of the time."""
        if at < self.next_look:
            return
        started = now()
        pids = {os.getpid(), *descendants(os.getpid())}
        self.memory = max(self.memory, sum(map(pss, pids)))
        self.processes = max(self.processes, len(pids))
        self.last = (at, processor_seconds())
        self.first = self.first or self.last
        self.next_look = at + SHARE * (now() - started)

    @property
    def cores(self) -> float | None:
        """Cores in use on average, or None where there was one look alone."""
        if self.first is None or self.last is None or self.last[0] <= self.first[0]:
            return None
        return max(0.0, (self.last[1] - self.first[1]) / (self.last[0] - self.first[0]))
