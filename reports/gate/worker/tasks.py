"""The tasks of a job. Each answers `start` before a row and `row` after it."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import forks, suite
from .counting import Counter
from .executed import executed
from .timing import fastest_of, waiting

Job = dict[str, Any]
Say = Callable[..., None]

PROFILE_SECONDS = 0.1


def names(job: Job, say: Say) -> None:
    """Every row of the suite, with the reason why it cannot run here, or None; a file that fails counts as a row.

    Then the manifest of this side, for differences of the environment.
    """
    for stem in suite.modules():
        say(start=[stem, []])
        try:
            for benchmark, params in suite.rows_of(stem):
                say(row=[benchmark, params], refusal=suite.refusal(benchmark, params))
        except Exception as error:
            say(row=[stem, []], error=f"{type(error).__name__}: {first_line(error)}")
    with contextlib.suppress(ImportError):  # a project without manifests
        from lossimpl import environment

        say(manifest=environment.manifest())


def trace(job: Job, say: Say) -> None:
    """Which functions of ours each row executes: to make its call, and in a warm call."""

    def traced(benchmark: str, params: list[Any]) -> dict[str, Any]:
        call, setup = executed(partial(suite.ready, benchmark, params), job["roots"])
        call()  # a compiler works now, many times faster than while it is traced
        return {"setup": setup, "executed": executed(call, job["roots"])[1]}

    _each(job, say, traced)


def check(job: Job, say: Say) -> None:
    """Run each row once as asv would; agreement, memory and status go to the side-car that LOSSIMPL_ROWS names."""

    def checked(benchmark: str, params: list[Any]) -> dict[str, Any]:
        suite.run(benchmark, params)
        return {}

    _each(job, say, checked)


def conformance(job: Job, say: Say) -> None:
    """The verdict on every hard case in float32 of every implementation, but those that compile: they take too long."""
    try:
        from lossimpl import registry
        from lossimpl.conformance.run import jobs, run
        from lossimpl.spec import COMPILING
    except ImportError as error:  # an older commit
        say(error=first_line(error))
        return
    todo = [one for one in jobs(registry.LOSSES.values(), dtypes=("float32",)) if one.implementation not in COMPILING]
    for one in run(todo):
        say(case=[one.loss, one.case, one.implementation, one.dtype], status=one.status)


def _each(job: Job, say: Say, task: Callable[[str, list[Any]], dict[str, Any]]) -> None:
    for benchmark, params in job["rows"]:
        say(start=[benchmark, params])
        try:
            say(row=[benchmark, params], **task(benchmark, params))
        except Exception as error:
            refused = isinstance(error, NotImplementedError) or type(error).__name__ == "Unavailable"
            text = first_line(error) if refused else f"{type(error).__name__}: {first_line(error)}"
            say(row=[benchmark, params], **{"refusal" if refused else "error": text})


def pairs(job: Job, say: Say) -> None:
    """Rows in forks of this process, timed batch by batch on request."""
    forks.serve(job["rows"], job["requests"], say)


def prepare(job: Job, say: Say) -> None:
    """Make the calls of some rows, so that what they must build is built; then name the libraries that they loaded."""

    def made(benchmark: str, params: list[Any]) -> dict[str, Any]:
        suite.ready(benchmark, params)
        return {}

    _each(job, say, made)
    say(libraries=sorted(map(digest, loaded(os.environ.get("TORCH_EXTENSIONS_DIR", "")))))


def loaded(folder: str) -> set[str]:
    """The libraries below a folder that this process has loaded."""
    lines = Path("/proc/self/maps").read_text().splitlines() if folder else []
    return {line.split()[-1] for line in lines if folder in line and line.endswith(".so")}


def digest(path: str) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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
        seconds = fastest_of(call, waiting("cuda" in params))
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


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


TASKS: dict[str, Callable[[Job, Say], None]] = {
    one.__name__: one for one in (names, prepare, trace, check, conformance, pairs, counts, profile)
}
