"""Seconds per call, and on a GPU the device's own time and its clock beside it."""

import gc
import statistics
import sys
import time

from .suite import Call

BATCH_SECONDS = 2e-3
BATCHES = 15
FEWEST_BATCHES = 3
BATCHES_SECONDS = 0.15  # five times the usual time of all batches; threads waiting for a busy core can take 500 times
WARMUP_SECONDS = 0.02
WARMUP_CALLS = 3


def timed(call: Call, on_gpu: bool) -> dict[str, float]:
    """Seconds per call in the fastest batch; on a GPU also the device's own time and its clock beside it.

    The fastest, since interruptions only add: beside a busy process it varies by a tenth as much as the median. A batch
    has many calls, unless one takes long, so costs of only some calls are still included.
    """
    wait: Call = sys.modules["torch"].cuda.synchronize if on_gpu else at_once
    fastest, spent, calls_made = float("inf"), 0.0, 0
    while calls_made < WARMUP_CALLS or spent < WARMUP_SECONDS:
        seconds = batch(call, 1, wait)
        fastest, spent, calls_made = min(fastest, seconds), spent + seconds, calls_made + 1
    number = max(1, round(BATCH_SECONDS / max(fastest, 1e-9)))
    collect_no_more()
    try:
        samples = batches(call, number, wait)
        device = on_device(call, number) if on_gpu else {}
    finally:
        gc.enable()
    return {"seconds": min(samples), **device}


def batches(call: Call, number: int, wait: Call) -> list[float]:
    """Seconds per call of each batch; fewer batches if they take too long."""
    samples: list[float] = []
    while len(samples) < FEWEST_BATCHES or (len(samples) < BATCHES and number * sum(samples) < BATCHES_SECONDS):
        samples.append(batch(call, number, wait) / number)
    return samples


def collect_no_more() -> None:
    """Keep the garbage collector from running inside a batch.

    Objects that exist now are frozen: a collection of all of torch's objects would take longer than the batches.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def at_once() -> None:
    """The wait for a device that has finished when the call returns."""


def batch(call: Call, number: int, wait: Call) -> float:
    """The seconds of `number` calls, with the device idle before and after."""
    wait()
    started = time.perf_counter()
    for _ in range(number):
        call()
    wait()
    return time.perf_counter() - started


def on_device(call: Call, number: int) -> dict[str, float]:
    """Device seconds per call by CUDA events, and cycles: the same times the SM clock."""
    torch = sys.modules["torch"]
    seconds, cycles = [], []
    for _ in range(BATCHES):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(number):
            call()
        end.record()
        end.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3 / number)
        cycles.append(seconds[-1] * torch.cuda.clock_rate() * 1e6)
    return {"device_seconds": statistics.median(seconds), "cycles": statistics.median(cycles)}
