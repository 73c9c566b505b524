"""The seconds that torch's pinning thread spends on batches: the function that it calls for each is timed."""

from __future__ import annotations

from collections import deque
from functools import wraps
from threading import local
from typing import Any

from lossimpl.measure.wall import now


class Pinning:
    """Seconds of pinning since the last call of `taken`; nothing is touched unless `watch` was called."""

    def __init__(self) -> None:
        self.seconds: deque[float] = deque()
        self.watching, self.inside = False, local()

    def watch(self) -> None:
        """From now on, time the pinning of every batch in this process."""
        if self.watching:
            return
        from torch.utils.data._utils import pin_memory as module

        self.watching = True
        pin: Any = module.pin_memory

        @wraps(pin)
        def timed(data: Any, device: Any = None) -> Any:
            if getattr(self.inside, "batch", False):  # torch's function calls itself for each part of a batch
                return pin(data, device)
            started, self.inside.batch = now(), True
            try:
                return pin(data, device)
            finally:
                self.inside.batch = False
                self.seconds.append(now() - started)

        module.pin_memory = timed

    def taken(self) -> float:
        """The seconds since the last call."""
        total = 0.0
        while self.seconds:
            total += self.seconds.popleft()
        return total
