"""The drive loop: iterate over a loader, epoch after epoch, and record when each batch came.

Nothing is hashed, printed, sampled or computed while the clock runs: a batch costs one clock reading and one append,
two of each beside a consumer's step. They go into lists, because appending to an `array` costs twice as much. Seconds
are computed from the readings at the end, and what they mean in `lossimpl.loading.timing.analysis`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lossimpl.loading.harness import workers
from lossimpl.measure.wall import now

EPOCHS_MAX = 1000
OVERTIME = 3.0  # what was begun may take this many times the budget before it is cut short

Step = Callable[[Any], None]


@dataclass
class Trace:
    """What one pass over the loader recorded: clock readings, one list item per batch.

    `came`: when each batch came; `done`: when its step was over, where there is one; `samples` of each. For each epoch
    `begun`: (epoch, index of its first batch here, when it began or went on); for each that was opened here `openings`:
    (epoch, seconds of `iter()`); for each that ended `tails`: (epoch, seconds from the last batch to the end).
    `origin`: when the consumer was ready for the second batch; what was done with the first is not timed.
    """

    came: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    begun: list[tuple[int, int, float]] = field(default_factory=list)
    openings: list[tuple[int, float]] = field(default_factory=list)
    tails: list[tuple[int, float]] = field(default_factory=list)
    origin: float | None = None

    def as_lists(self) -> dict[str, Any]:
        """Lists of seconds for JSON: each batch's wait (an epoch's first from before `iter()` on) and its step; and
        the number of its epoch."""
        over = self.done or self.came
        ready = [0.0, *over][: len(over)]
        if self.origin is not None and len(ready) > 1:
            ready[1] = self.origin
        epochs: list[int] = []
        ends = [first for _, first, _ in self.begun[1:]] + [len(over)]
        for (number, first, began), end in zip(self.begun, ends, strict=True):
            if first < end:
                ready[first] = began
            epochs += [number] * (end - first)
        return {
            "wait": [came - before for came, before in zip(self.came, ready, strict=True)],
            "step": [end - came for end, came in zip(over, self.came, strict=True)],
            "samples": self.samples,
            "epoch": epochs,
            "openings": self.openings,
            "tails": self.tails,
        }

    @property
    def start_seconds(self) -> float:
        """The wait for the very first batch."""
        return self.came[0] - self.begun[0][2]


@dataclass(frozen=True)
class Extent:
    """How long to drive: `seconds` from the first batch on, and at least so many epochs and batches, unless that takes
    `OVERTIME` times as long. Where the start alone took longer than `seconds`, epochs are not waited for."""

    seconds: float
    epochs: int = 0
    batches: int = 0

    def reached(self, trace: Trace, elapsed: float) -> bool:
        """Whether the trace, `elapsed` seconds after its first batch, is long enough."""
        if elapsed < self.seconds:
            return False
        costly = trace.start_seconds > self.seconds
        served = (costly or len(trace.tails) >= self.epochs) and len(trace.came) >= self.batches
        return served or elapsed > OVERTIME * self.seconds


@dataclass
class Drive:
    """A loader, driven epoch after epoch; `iterator` is the epoch under way, None between epochs.

    `full` is the size of every batch but the last of an epoch, or None where each batch must be counted.
    """

    loader: Any
    set_epoch: Callable[[int], None] | None
    count: Callable[[Any], int]
    full: int | None = None
    epochs: int = 0
    iterator: Any = None

    def begin(self) -> float:
        """Start an epoch; return the seconds of `iter(loader)`."""
        if self.set_epoch is not None:
            self.set_epoch(self.epochs)
        self.epochs += 1
        workers.forget()
        started = now()
        self.iterator = iter(self.loader)
        return now() - started

    def run(self, extent: Extent, step: Step | None = None, on_first: Callable[[], None] | None = None) -> Trace:
        """Consume batches until the extent is reached, continuing the epoch under way if there is one.

        `on_first` is called, untimed, after the very first batch.
        """
        trace = Trace()
        while not self.epoch(trace, extent, step, on_first) and len(trace.openings) < EPOCHS_MAX:
            pass
        return trace

    def epoch(self, trace: Trace, extent: Extent, step: Step | None, on_first: Callable[[], None] | None) -> bool:
        """An epoch, its rest, or its part until the extent is reached; whether it was, or the epoch was empty."""
        fresh = self.iterator is None
        before = now()
        if fresh:
            trace.openings.append((self.epochs, self.begin()))
        trace.begun.append((self.epochs - 1, len(trace.came), before))
        count = self.count if self.full is None else None
        note, note_done, note_samples = trace.came.append, trace.done.append, trace.samples.append
        batch, limit = None, -math.inf if trace.origin is None else trace.origin + extent.seconds
        for batch in self.iterator:
            before = now()
            note(before)
            if step is not None:
                step(batch)
                before = now()
                note_done(before)
            if count is not None:
                note_samples(count(batch))
            if before > limit:
                if trace.origin is None:
                    before = self.start(trace, on_first)
                    limit = before + extent.seconds
                elif extent.reached(trace, before - trace.origin):
                    self.fill_in(trace, batch)
                    return True
        self.fill_in(trace, batch)
        trace.tails.append((self.epochs - 1, now() - before))
        self.iterator = None
        return fresh if trace.origin is None else extent.reached(trace, now() - trace.origin)

    def start(self, trace: Trace, on_first: Callable[[], None] | None) -> float:
        """After the very first batch: call `on_first`, untimed, and start the clock."""
        if on_first is not None:
            on_first()
        trace.origin = now()
        return trace.origin

    def fill_in(self, trace: Trace, last: Any) -> None:
        """Add the samples of batches that are known to be full; the last one is counted."""
        missing = len(trace.came) - len(trace.samples)
        if missing and self.full is not None:
            trace.samples.extend([self.full] * (missing - 1))
            trace.samples.append(self.count(last))

    def stop(self) -> float:
        """End the workers; return the seconds that this took."""
        started = now()
        self.iterator = None
        if hasattr(self.loader, "_iterator"):
            self.loader._iterator = None
        return now() - started
