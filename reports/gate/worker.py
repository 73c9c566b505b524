"""The program that runs inside one side: `python -P worker.py`, a job as JSON on stdin, answers as JSON on stdout.

It is the only part of the gate that imports the measured package, and it imports nothing else of ours, so that both
sides are measured by the same lines. `start` precedes each row's answer: when the process dies, the last one started
did it. What benchmarks print goes to stderr.

A suite is a package `benchmarks` of asv classes with `track_seconds(*params)`, and `benchmarks/calls.py` with
`refusal(stem, *params)` (why a row cannot run here, or None) and `ready(stem, *params)` (the call that the row times).
"""

import gc
import importlib
import json
import os
import pkgutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

Job = dict[str, Any]
Say = Callable[..., None]
Call = Callable[[], object]

BATCH_SECONDS = 2e-3
BATCHES = 15
FEWEST_BATCHES = 3
BATCHES_SECONDS = 0.15  # five times what the batches should take: threads that wait for a busy core can take 500 times
WARMUP_SECONDS = 0.02
WARMUP_CALLS = 3


def names(job: Job, say: Say) -> None:
    """Every row of the suite, with the reason why it cannot run here, or None. A file that fails is a row too."""
    suite = importlib.import_module("benchmarks")
    for module in sorted(one.name for one in pkgutil.iter_modules(suite.__path__)):
        say(start=[module, []])
        try:
            for benchmark, params in rows_of(importlib.import_module(f"benchmarks.{module}"), module):
                say(row=[benchmark, params], refusal=calls().refusal(module, *params))
        except Exception as error:
            say(row=[module, []], error=f"{type(error).__name__}: {first_line(error)}")


def rows_of(module: ModuleType, stem: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of the asv classes that a benchmark file defines itself."""
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "track_seconds"):
            for params in product(*getattr(value, "params", ())):
                yield f"{stem}.{name}.track_seconds", list(params)


def check(job: Job, say: Say) -> None:
    """Run each row once as asv would: agreement, memory and status go to the side-car that LOSSIMPL_ROWS names."""
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        stem, name, method = benchmark.split(".")
        started = time.perf_counter()
        try:
            row = getattr(importlib.import_module(f"benchmarks.{stem}"), name)()
            getattr(row, method)(*params)
            say(row=[benchmark, params], seconds=time.perf_counter() - started)
        except NotImplementedError as refused:
            say(row=[benchmark, params], refusal=first_line(refused))
        except Exception as error:
            say(row=[benchmark, params], error=f"{type(error).__name__}: {first_line(error)}")


def times(job: Job, say: Say) -> None:
    """The seconds per call of each row, and the state of the machine meanwhile."""
    before = machine()
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        call = calls().ready(benchmark.split(".")[0], *params)
        say(row=[benchmark, params], **timed(call, "cuda" in params))
    say(machine=machine_since(before))


def timed(call: Call, on_gpu: bool) -> dict[str, float]:
    """Seconds per call in the fastest batch; on a GPU also the device's own time and its clock beside it.

    The fastest, since interruptions only add: beside a busy neighbour it varies from process to process by a tenth of
    what the median does. A batch holds many calls, unless one takes long, so what only some calls pay is still in it.
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
    """Seconds per call of each batch; the last ones are left out where they have taken too long."""
    samples: list[float] = []
    while len(samples) < FEWEST_BATCHES or (len(samples) < BATCHES and number * sum(samples) < BATCHES_SECONDS):
        samples.append(batch(call, number, wait) / number)
    return samples


def collect_no_more() -> None:
    """Keep the garbage collector from running inside a batch.

    What is left now stays: a collection that walked all of torch's objects again would take longer than the batches.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def at_once() -> None:
    """The wait of a device that has finished when the call returns."""


def batch(call: Call, number: int, wait: Call) -> float:
    """The seconds that `number` calls take together, with the device at rest before and after."""
    wait()
    started = time.perf_counter()
    for _ in range(number):
        call()
    wait()
    return time.perf_counter() - started


def on_device(call: Call, number: int) -> dict[str, float]:
    """Device seconds per call by CUDA events, and those times the SM clock: equal cycles tell of another clock."""
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


def machine() -> dict[str, Any]:
    """Counters of the whole machine and of this process, and the speed of a fixed loop, which shows the clock."""
    with open("/proc/stat") as file:
        ticks = [int(one) for one in file.readline().split()[1:9]]
    own = os.times()
    return {"ticks": ticks, "own": own.user + own.system, "loop": loop_seconds()}


def loop_seconds() -> float:
    """Seconds of a loop that touches no memory; the best of three, since interruptions only add."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(50_000):
            pass
        best = min(best, time.perf_counter() - started)
    return best


def machine_since(before: dict[str, Any]) -> dict[str, float]:
    """Shares of processor time that other processes and the hypervisor took since `before`, and the slower loop."""
    after = machine()
    user, nice, system, idle, iowait, irq, softirq, steal = (
        (new - old) / os.sysconf("SC_CLK_TCK") for new, old in zip(after["ticks"], before["ticks"], strict=True)
    )
    spent = user + nice + system + irq + softirq
    capacity = max(spent + idle + iowait + steal, 1e-9)
    others = max(0.0, spent - (after["own"] - before["own"]))
    return {"others": others / capacity, "steal": steal / capacity, "loop": max(before["loop"], after["loop"])}


def counts(job: Job, say: Say) -> None:
    """Instructions per call under Callgrind: dumps at two repeat counts, whose difference is free of fixed costs."""
    import ctypes

    marks = ctypes.CDLL(job["marks"])
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        call = calls().ready(benchmark.split(".")[0], *params)
        for _ in range(job["warmup"]):
            call()
        collect_no_more()
        for repeats in job["repeats"]:
            marks.begin()
            for _ in range(repeats):
                call()
            marks.end(json.dumps([benchmark, params, repeats]).encode())
        gc.enable()
        say(row=[benchmark, params])


def profile(job: Job, say: Say) -> None:
    """Where a row spends its time: torch's profiler over a number of calls, seconds per call by operator."""
    import torch

    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        call = calls().ready(benchmark.split(".")[0], *params)
        seconds = timed(call, "cuda" in params)["seconds"]
        number = max(3, min(200, round(0.1 / max(seconds, 1e-9))))
        activities = [torch.profiler.ProfilerActivity.CPU]
        activities += [torch.profiler.ProfilerActivity.CUDA] if "cuda" in params else []
        with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
            for _ in range(number):
                call()
        operators = {
            one.key: [
                one.self_cpu_time_total / 1e6 / number,
                getattr(one, "self_device_time_total", 0.0) / 1e6 / number,
                one.count / number,
                max(0, one.self_cpu_memory_usage) / number,
            ]
            for one in profiler.key_averages()
        }
        say(row=[benchmark, params], seconds=seconds, operators=operators)


def environment(job: Job, say: Say) -> None:
    """The manifest of this side, for the differences that are no code."""
    from lossimpl import environment as recorded

    say(manifest=recorded.manifest())


def calls() -> ModuleType:
    """The suite's own way to make a row's call."""
    return importlib.import_module("benchmarks.calls")


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says anything."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


TASKS: dict[str, Callable[[Job, Say], None]] = {
    one.__name__: one for one in (names, check, times, counts, profile, environment)
}


def main() -> None:
    """Do the job and finish with `done`; without it the process died."""
    job = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    sys.path.insert(0, str(Path(job["suite"])))
    TASKS[job["task"]](job, say)
    say(done=True)


if __name__ == "__main__":
    main()
