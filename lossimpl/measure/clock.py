"""The clock: how long does one call take, and when has that been answered well enough?

1. Warm up until the calls have stopped getting faster.
2. Put so many calls into a batch that the batch is long against the resolution of the clock.
3. Take samples (seconds per call of one batch) until the median is known to the precision asked for, or time is up.

Every sample is kept, outliers too, and with them the reason why sampling stopped. The garbage collector rests
meanwhile, as in `timeit`.

Several calls that are to be compared take turns instead: each pass takes one sample of each, in a random order. What
slows the machine for a tenth of a second slows all of them, and cancels in their ratios.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from math import ceil

from lossimpl.measure.busy import Watch
from lossimpl.measure.types import DEFAULT_RULE, Call, Rule, Timing, garbage_collection_off
from lossimpl.ranking import precision


def time_calls(call: Call, device: str = "cpu", rule: Rule = DEFAULT_RULE, graph: bool = False) -> Timing:
    """Time `call()` on `device` by `rule`; with `graph`, on CUDA, the replay of a graph that records it once.

    `call` takes no arguments and leaves nothing behind, so that every call does the same work.

    >>> timing = time_calls(lambda: sum(range(1000)), rule=Rule(max_seconds=0.1))
    >>> len(timing.samples) >= 7, 0 < min(timing.samples) < 1e-2
    (True, True)
    """
    if device.startswith("cuda"):
        from lossimpl.measure import cuda  # late, for it needs a GPU's libraries

        return cuda.time_calls(call, rule, graph=graph)
    import torch

    watch = Watch()
    with garbage_collection_off():
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


TOO_LONG = 5  # times as long as all samples of a call may take together


@dataclass
class Turns:
    """The samples of one of several calls, spread evenly over `rule.max_samples` passes.

    `samples` of `number` calls each take about `rule.max_seconds` together, and at least `rule.min_samples` are taken.
    If one call takes `TOO_LONG` times `rule.max_seconds`, the call that warms up is the only sample.
    """

    call: Call
    rule: Rule
    warmup: float = 0.0
    number: int = 1
    wanted: int = 0
    samples: list[float] = field(default_factory=list)

    def warm_up(self) -> None:
        """Call until steady, and plan the samples by how long a call takes."""
        self.warmup, seconds = warm_up(self.call, self.rule)
        if seconds > TOO_LONG * self.rule.max_seconds:
            self.samples, self.warmup = [seconds], 0.0
            return
        seconds = max(seconds, 1e-9)  # a clock may not see a call that does nothing
        self.number = max(1, int(self.rule.max_seconds / self.rule.max_samples / seconds))
        fitting = round(self.rule.max_seconds / self.number / seconds)
        self.wanted = min(self.rule.max_samples, max(self.rule.min_samples, fitting))

    def sample(self, number_of_pass: int) -> None:
        """Take a sample if this pass is one of those over which they are spread."""
        passes = self.rule.max_samples
        if (number_of_pass + 1) * self.wanted // passes > number_of_pass * self.wanted // passes:
            self.samples.append(batch(self.call, self.number) / self.number)

    def timing(self, busy: str) -> Timing:
        """What was measured, while `busy` was going on."""
        import torch

        return Timing(
            samples=tuple(self.samples),
            number=self.number,
            stop="sample-cap" if self.wanted == self.rule.max_samples else "time-cap",
            precision=precision(self.samples),
            warmup_seconds=self.warmup,
            threads=torch.get_num_threads(),
            busy=busy,
        )


def time_in_turns(turns: Mapping[str, Turns], order: random.Random) -> dict[str, Timing | Exception]:
    """Time several calls in turns; what a call raises is its result.

    >>> calls = {"short": lambda: sum(range(1000)), "long": lambda: sum(range(9000))}
    >>> rule = Rule(max_seconds=0.05, max_samples=20)
    >>> found = time_in_turns({name: Turns(call, rule) for name, call in calls.items()}, random.Random(0))
    >>> [len(timing.samples) for timing in found.values()]
    [20, 20]
    """
    watch, found, going = Watch(), dict[str, Timing | Exception](), dict(turns)

    def attempt(name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # whatever a plug-in raises; the other calls go on
            found[name] = error
            del going[name]

    with garbage_collection_off():
        for name in order.sample([*going], len(going)):
            attempt(name, going[name].warm_up)
        for number in range(max((one.rule.max_samples for one in turns.values()), default=0)):
            for name in order.sample([*going], len(going)):
                attempt(name, partial(going[name].sample, number))
    busy = watch.verdict()
    return {name: found[name] if name in found else one.timing(busy) for name, one in turns.items()}


def warm_up(call: Call, rule: Rule) -> tuple[float, float]:
    """Call until steady; return the seconds that this took and those of the fastest call.

    Steady: at least four calls, and none of the last three was faster by 2 percent than the fastest before them. A
    third of the whole time is the most that warming up may take, the first call apart.
    """
    started = time.perf_counter()
    fastest, calm, calls, spent = float("inf"), 0, 0, 0.0
    while calls < 1 or (spent < rule.max_seconds / 3 and (calls < 4 or calm < 3 or spent < rule.warmup_seconds)):
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
