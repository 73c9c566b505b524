"""The clock: how long does one call take, and when has that been answered well enough?

1. Warm up until the calls have stopped getting faster.
2. Put so many calls into a batch that the batch is long against the resolution of the clock.
3. Take samples (seconds per call of one batch) until the median is known to the precision asked for, or time is up.

Every sample is kept, outliers too, and with them the reason why sampling stopped. The garbage collector rests
meanwhile, as in `timeit`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from math import ceil

from lossimpl.measure.busy import Watch
from lossimpl.ranking import precision

Call = Callable[[], object]


@dataclass(frozen=True)
class Rule:
    """When to stop: `precision` is half the width of the median's 95 percent interval over the median.

    `max_seconds` caps warm-up and sampling together, but `min_samples` are taken whatever they cost: with seven, two
    sets of samples can be told apart by a rank test at all.
    """

    precision: float = 0.01
    max_seconds: float = 1.0
    min_samples: int = 7
    max_samples: int = 100
    batch_seconds: float = 2e-3
    warmup_seconds: float = 0.02

    def __post_init__(self) -> None:
        if self.min_samples < 2 or self.max_samples < self.min_samples:
            raise ValueError(
                f"min_samples, max_samples: expected 2 <= min_samples <= max_samples, "
                f"got {self.min_samples} and {self.max_samples}"
            )
        if min(self.precision, self.max_seconds, self.batch_seconds) <= 0:
            raise ValueError(f"precision, max_seconds, batch_seconds: expected positive numbers, got {self}")


@dataclass(frozen=True)
class Timing:
    """The samples of one call, in seconds per call, and how they were taken.

    `number` is the calls in a batch; `stop` is `precise`, `time-cap` or `sample-cap`; `precision` is what was reached;
    `busy` is a warning in words, or empty.
    """

    samples: tuple[float, ...]
    number: int
    stop: str
    precision: float
    warmup_seconds: float
    threads: int
    busy: str


DEFAULT_RULE = Rule()


def time_calls(call: Call, device: str = "cpu", rule: Rule = DEFAULT_RULE, graph: bool = False) -> Timing:
    """Time `call()` on `device` by `rule`; with `graph`, on CUDA, the replay of a graph that records it once.

    `call` takes no arguments and leaves nothing behind, so that every call does the same work.

    >>> timing = time_calls(lambda: sum(range(1000)), rule=Rule(max_seconds=0.1))
    >>> len(timing.samples) >= 7, 0 < min(timing.samples) < 1e-2
    (True, True)
    """
    if device.startswith("cuda"):
        cuda = import_module("lossimpl.measure.cuda")  # events, not a wall clock; late, for it needs a GPU's libraries
        timing: Timing = cuda.time_calls(call, rule, graph=graph)
        return timing
    import torch

    watch = Watch()
    with collector_at_rest():
        warmup, seconds = warm_up(call, rule)
        number = calls_per_batch(seconds, rule)
        samples, stop = sample(call, number, rule, rule.max_seconds - warmup)
    return Timing(
        samples=tuple(samples),
        number=number,
        stop=stop,
        precision=precision(samples),
        warmup_seconds=warmup,
        threads=torch.get_num_threads(),
        busy=watch.verdict(),
    )


def warm_up(call: Call, rule: Rule) -> tuple[float, float]:
    """Call until steady; return the seconds that this took and those of the fastest call.

    Steady: at least four calls, and none of the last three was faster by 2 percent than the fastest before them. A
    third of the whole time is the most that warming up may take, the first four calls apart.
    """
    started = time.perf_counter()
    fastest, calm, calls, spent = float("inf"), 0, 0, 0.0
    while calls < 4 or (spent < rule.max_seconds / 3 and (calm < 3 or spent < rule.warmup_seconds)):
        seconds = batch(call, 1)
        calm = 0 if seconds < 0.98 * fastest else calm + 1
        fastest, calls, spent = min(fastest, seconds), calls + 1, time.perf_counter() - started
    return spent, fastest


def calls_per_batch(seconds: float, rule: Rule) -> int:
    """So many calls of `seconds` that a batch is long: `rule.batch_seconds`, or a thousand times the resolution."""
    return max(1, ceil(max(rule.batch_seconds, 1000 * resolution()) / max(seconds, 1e-9)))


def sample(call: Call, number: int, rule: Rule, seconds_left: float) -> tuple[list[float], str]:
    """Take samples until one of the rule's reasons to stop applies; return them and the reason."""
    deadline = time.perf_counter() + seconds_left
    samples = [batch(call, number) / number for _ in range(rule.min_samples)]
    while precision(samples) > rule.precision:
        if len(samples) >= rule.max_samples:
            return samples, "sample-cap"
        if time.perf_counter() >= deadline:
            return samples, "time-cap"
        samples.append(batch(call, number) / number)
    return samples, "precise"


def batch(call: Call, number: int) -> float:
    """The seconds that `number` calls take together."""
    repeats = range(number)
    started = time.perf_counter()
    for _ in repeats:
        call()
    return time.perf_counter() - started


@cache
def resolution() -> float:
    """The smallest step of the clock that we see, in seconds: the larger of what it claims and what it shows."""
    readings = [time.perf_counter() for _ in range(1000)]
    steps = [later - earlier for earlier, later in pairwise(readings) if later > earlier]
    return max(time.get_clock_info("perf_counter").resolution, min(steps, default=1e-6))


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect garbage once, then switch the collector off for the block and put it back as it was."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
