"""Seconds per call, and on a GPU the device's own time and its clock beside it."""

import gc
import sys
import time

from .suite import Call

WARMUP_SECONDS = 0.02
WARMUP_CALLS = 3


def waiting(on_gpu: bool) -> Call:
    """What waits for the device to finish."""
    return sys.modules["torch"].cuda.synchronize if on_gpu else at_once


def fastest_of(call: Call, wait: Call) -> float:
    """Warm up, and return the seconds of the fastest call."""
    fastest, spent, calls_made = float("inf"), 0.0, 0
    while calls_made < WARMUP_CALLS or spent < WARMUP_SECONDS:
        seconds = batch(call, 1, wait)
        fastest, spent, calls_made = min(fastest, seconds), spent + seconds, calls_made + 1
    return fastest


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


def device_seconds(call: Call, number: int, on_gpu: bool) -> dict[str, float]:
    """Device seconds per call by CUDA events, and cycles: the same times the SM clock; nothing without a GPU."""
    if not on_gpu:
        return {}
    torch = sys.modules["torch"]
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(number):
        call()
    end.record()
    end.synchronize()
    seconds = start.elapsed_time(end) / 1e3 / number
    return {"device_seconds": seconds, "cycles": seconds * torch.cuda.clock_rate() * 1e6}
