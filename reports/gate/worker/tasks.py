"""The tasks of a job. Each answers `start` before a row and `row` after it."""

import time
from collections.abc import Callable
from typing import Any

from . import machine, suite
from .counting import Counter
from .timing import timed

Job = dict[str, Any]
Say = Callable[..., None]

PROFILE_SECONDS = 0.1


def names(job: Job, say: Say) -> None:
    """Every row of the suite, with the reason why it cannot run here, or None; a file that fails counts as a row."""
    for stem in suite.modules():
        say(start=[stem, []])
        try:
            for benchmark, params in suite.rows_of(stem):
                say(row=[benchmark, params], refusal=suite.refusal(benchmark, params))
        except Exception as error:
            say(row=[stem, []], error=f"{type(error).__name__}: {first_line(error)}")


def check(job: Job, say: Say) -> None:
    """Run each row once as asv would; agreement, memory and status go to the side-car that LOSSIMPL_ROWS names."""
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        started = time.perf_counter()
        try:
            suite.run(benchmark, params)
            say(row=[benchmark, params], seconds=time.perf_counter() - started)
        except NotImplementedError as refused:
            say(row=[benchmark, params], refusal=first_line(refused))
        except Exception as error:
            say(row=[benchmark, params], error=f"{type(error).__name__}: {first_line(error)}")


def times(job: Job, say: Say) -> None:
    """The seconds of each row, and the state of the machine meanwhile."""
    before = machine.state()
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        if suite.measures_itself(benchmark):
            say(row=[benchmark, params], seconds=suite.own_seconds(benchmark, params))
        else:
            say(row=[benchmark, params], **timed(suite.ready(benchmark, params), "cuda" in params))
    say(machine=machine.since(before))


def counts(job: Job, say: Say) -> None:
    """The instructions of each row, as dumps of Callgrind."""
    counter = Counter(job)
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        counter.count(benchmark, params)
        say(row=[benchmark, params])


def profile(job: Job, say: Say) -> None:
    """The time of each row by operator, in seconds per call, from torch's profiler over a number of calls."""
    import torch

    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        call = suite.ready(benchmark, params)
        seconds = timed(call, "cuda" in params)["seconds"]
        number = max(3, min(200, round(PROFILE_SECONDS / max(seconds, 1e-9))))
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
    """The manifest of this side, for differences of the environment."""
    from lossimpl import environment as recorded

    say(manifest=recorded.manifest())


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


TASKS: dict[str, Callable[[Job, Say], None]] = {
    one.__name__: one for one in (names, check, times, counts, profile, environment)
}
