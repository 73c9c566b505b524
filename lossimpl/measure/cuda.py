"""The GPU clock: device seconds of one call between two events on the work's own stream.

A sample, in the order in which the device sees it: the L2 cache is emptied (a *cold* sample; a *warm* one finds what
the sample before it left), the device is kept busy until the host is ahead of it, an event, the calls, an event. So
neither the flush nor the gaps between launches are in the sample, unless the call itself waits for the device: then
its gaps are its own, and stay in.
Beside each sample stand the host's seconds for the same calls and the board's clock, temperature and throttling. All
samples are kept; those taken while the clock was throttled are marked. With `graph` a CUDA graph's replay is timed.

The first call is timed apart: it compiles, loads and allocates.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

from lossimpl.measure import cuda_board
from lossimpl.measure.cuda_board import Board, Reading
from lossimpl.measure.cuda_device import Device, TorchDevice
from lossimpl.measure.types import DEFAULT_RULE, Call, Ceilings, Rule, Timing, garbage_collection_off
from lossimpl.ranking import precision

HEAD_START = 2.0  # the device is kept busy for so many times what the calls took from the host's start to their end
LEAST_HEAD_START = 50e-6  # seconds; an event and a launch cost the host some ten microseconds
MOST_HEAD_START = 5e-3  # a call that takes the host longer than this waits for the device
CEILING_BYTES = 1 << 30  # some twenty times any L2 cache, and half a millisecond of copying: the launch is lost in it
CEILING_RULE = Rule(precision=0.005, max_seconds=0.2, min_samples=7, max_samples=50, warmup_seconds=0.005)


@dataclass(frozen=True)
class CudaTiming(Timing):
    """A `Timing` of device seconds, with what stood beside each sample.

    `host_samples` are host seconds per call; `sm_clock_mhz` and `temperature` (degrees Celsius) are None where the
    board does not report them; `throttled` marks samples taken while the clock was throttled. `first_call_seconds` is
    wall time.
    """

    host_samples: tuple[float, ...]
    sm_clock_mhz: tuple[int | None, ...]
    temperature: tuple[int | None, ...]
    throttled: tuple[bool, ...]
    first_call_seconds: float
    cold: bool
    graph: bool


@dataclass(frozen=True)
class Sample:
    """Device and host seconds per call, and the board's state."""

    device: float
    host: float
    reading: Reading


def time_calls(
    call: Call,
    rule: Rule = DEFAULT_RULE,
    *,
    cold: bool = True,
    graph: bool = False,
    device: Device | None = None,
    board: Board | None = None,
) -> CudaTiming:
    """Time `call()` on torch's current CUDA device and stream by `rule`.

    A cold sample is one call, since the second would find what the first left in the cache; a warm one is a batch.
    `device` and `board` stand for the machine, and tests bring their own.
    """
    device, board = device or TorchDevice(), board or cuda_board.current()
    with garbage_collection_off():
        first = wall_seconds(call, device)
        if graph:
            call = device.capture(call)
        warmup, seconds = warm_up(call, device, rule)
        number = 1 if cold else max(1, round(rule.batch_seconds / seconds))
        head_start = min(max(HEAD_START * seconds * number, LEAST_HEAD_START), MOST_HEAD_START)
        samples, stop = sample(call, number, cold, head_start, device, board, rule, rule.max_seconds - warmup)
    return CudaTiming(
        samples=tuple(one.device for one in samples),
        number=number,
        stop=stop,
        precision=precision([one.device for one in samples]),
        warmup_seconds=warmup,
        threads=1,
        busy=cuda_board.verdict([one.reading for one in samples], board.others()),
        host_samples=tuple(one.host for one in samples),
        sm_clock_mhz=tuple(one.reading.sm_clock_mhz for one in samples),
        temperature=tuple(one.reading.temperature for one in samples),
        throttled=tuple(one.reading.throttled for one in samples),
        first_call_seconds=first,
        cold=cold,
        graph=graph,
    )


def wall_seconds(call: Call, device: Device) -> float:
    """Host seconds until the device has done the call."""
    device.synchronize()
    started = time.perf_counter()
    call()
    device.synchronize()
    return time.perf_counter() - started


def warm_up(call: Call, device: Device, rule: Rule) -> tuple[float, float]:
    """Call for `rule.warmup_seconds`, four times at least; return the seconds spent and those of the fastest call."""
    started = time.perf_counter()
    fastest, calls, spent = float("inf"), 0, 0.0
    while calls < 4 or spent < min(rule.warmup_seconds, rule.max_seconds / 3):
        fastest, calls = min(fastest, wall_seconds(call, device)), calls + 1
        spent = time.perf_counter() - started
    return spent, fastest


def sample(
    call: Call,
    number: int,
    cold: bool,
    head_start: float,
    device: Device,
    board: Board,
    rule: Rule,
    seconds_left: float,
) -> tuple[list[Sample], str]:
    """Take samples until one of the rule's reasons to stop applies; return them and the reason."""
    deadline = time.perf_counter() + seconds_left
    samples: list[Sample] = []
    while len(samples) < rule.min_samples or precision([one.device for one in samples]) > rule.precision:
        if len(samples) >= rule.max_samples:
            return samples, "sample-cap"
        if len(samples) >= rule.min_samples and time.perf_counter() >= deadline:
            return samples, "time-cap"
        samples.append(batch(call, number, cold, head_start, device, board))
    return samples, "precise"


def batch(call: Call, number: int, cold: bool, head_start: float, device: Device, board: Board) -> Sample:
    """One sample: `number` calls between two events."""
    if cold:
        device.flush()
    device.occupy(head_start)
    start = device.mark()
    started = time.perf_counter()
    for _ in range(number):
        call()
    host = time.perf_counter() - started
    end = device.mark()
    reading = board.read()
    return Sample(device.seconds(start, end) / number, host / number, reading)


def ceilings(working_set: int) -> Ceilings:
    """Bytes per second of a copy and of a read through device memory, in this process.

    Cold samples find no data in the cache, so the ceiling is that of device memory whatever the working set.
    """
    copy, read = memory_rates()
    return Ceilings("cuda", copy, read, "memory", working_set, threads=1)


@cache
def memory_rates() -> tuple[float, float]:
    """(copy, read): the fastest sample counts; a rate of copying is a rate of reading too."""
    import torch

    source = torch.ones(CEILING_BYTES // 4, device="cuda")
    target = torch.empty_like(source)
    copy = 2 * CEILING_BYTES / min(time_calls(lambda: target.copy_(source), CEILING_RULE).samples)
    read = CEILING_BYTES / min(time_calls(lambda: torch.sum(source), CEILING_RULE).samples)
    return copy, max(copy, read)
