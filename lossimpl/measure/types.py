"""What the clocks and the ceilings exchange: when to stop, what was measured, how fast the device is."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Call = Callable[[], object]


@dataclass(frozen=True)
class Rule:
    """When to stop: `precision` is half the width of the median's 95 percent interval over the median.

    `max_seconds` caps warm-up and sampling together, but `min_samples` are taken whatever they cost: seven
    samples on each side are the fewest that a rank test can separate.
    """

    precision: float = 0.01
    max_seconds: float = 1.0
    min_samples: int = 7
    max_samples: int = 100
    batch_seconds: float = 2e-3
    warmup_seconds: float = 0.02

    def __post_init__(self) -> None:
        if self.min_samples < 1 or self.max_samples < self.min_samples:
            raise ValueError(
                f"min_samples, max_samples: expected 1 <= min_samples <= max_samples, "
                f"got {self.min_samples} and {self.max_samples}"
            )
        if min(self.precision, self.max_seconds, self.batch_seconds) <= 0:
            raise ValueError(f"precision, max_seconds, batch_seconds: expected positive numbers, got {self}")


@dataclass(frozen=True)
class Timing:
    """The samples of one call, in seconds per call, and how they were taken.

    `number` is the calls in a batch; `stop` is `precise`, `time-cap` or `sample-cap`; `precision` is what was reached;
    `busy` is a warning, or empty.
    """

    samples: tuple[float, ...]
    number: int
    stop: str
    precision: float
    warmup_seconds: float
    threads: int
    busy: str


DEFAULT_RULE = Rule()


@dataclass(frozen=True)
class Ceilings:
    """Bytes per second of a copy (read and written) and of a read, for a working set of a size on a device."""

    device: str
    copy: float
    read: float
    level: str
    working_set: int
    threads: int

    def of(self, mode: str) -> tuple[str, float]:
        """The ceiling of a mode, with its name: a forward pass reads, anything with a gradient writes as much."""
        return ("read", self.read) if mode == "forward" else ("copy", self.copy)


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Collect garbage once, then switch the collector off for the block and put it back as it was."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
