"""The benchmarks of a revision.

A suite is a package `benchmarks` of asv classes, with `benchmarks/calls.py`: `refusal(stem, *params)` returns why a row
cannot run here, or None, and `ready(stem, *params)` the call that a row of `track_seconds` times. A row of any other
method with that prefix (`track_seconds_per_sample`) measures itself: it starts its own processes and returns its
seconds to asv.
"""

import importlib
import pkgutil
import statistics
from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any

Call = Callable[[], object]

TIMED_HERE = "track_seconds"


def modules() -> list[str]:
    """The names of the benchmark files."""
    return sorted(one.name for one in pkgutil.iter_modules(importlib.import_module("benchmarks").__path__))


def rows_of(stem: str) -> Iterator[tuple[str, list[Any]]]:
    """The rows of the asv classes that a benchmark file defines itself."""
    module = importlib.import_module(f"benchmarks.{stem}")
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            for method in (one for one in dir(value) if one.startswith(TIMED_HERE)):
                for params in product(*getattr(value, "params", ())):
                    yield f"{stem}.{name}.{method}", list(params)


def measures_itself(benchmark: str) -> bool:
    """Whether a row is more than a call that can be repeated."""
    return not benchmark.endswith(f".{TIMED_HERE}")


def refusal(benchmark: str, params: list[Any]) -> str | None:
    """Why a row cannot run here, or None; one that measures itself reports it when it runs."""
    if measures_itself(benchmark):
        return None
    reason: str | None = calls().refusal(benchmark.split(".")[0], *params)
    return reason


def ready(benchmark: str, params: list[Any]) -> Call:
    """The call that a row times."""
    call: Call = calls().ready(benchmark.split(".")[0], *params)
    return call


def calls() -> ModuleType:
    """The module of the suite that makes the calls of rows."""
    return importlib.import_module("benchmarks.calls")


def run(benchmark: str, params: list[Any]) -> Any:
    """Run a row as asv would, and return its result."""
    stem, name, method = benchmark.split(".")
    row = getattr(importlib.import_module(f"benchmarks.{stem}"), name)()
    return getattr(row, method)(*params)


def own_seconds(benchmark: str, params: list[Any]) -> float:
    """The seconds that a row measures itself: the median of its samples, each of many units of work."""
    samples: list[float] = run(benchmark, params)["samples"]
    return statistics.median(samples)
