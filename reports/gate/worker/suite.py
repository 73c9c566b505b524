"""The benchmarks of a revision.

A suite is a package `benchmarks` of asv classes, with `benchmarks/calls.py`: `refusal(stem, *params)` returns why a row
cannot run here, or None, and `ready(stem, *params)` the call that the gate times. `import_compiler()`, where there is
one, imports what compiled rows need.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any

Call = Callable[[], object]

PREFIX = "track_seconds"


def modules() -> list[str]:
    """The names of the benchmark files."""
    return sorted(one.name for one in pkgutil.iter_modules(importlib.import_module("benchmarks").__path__))


def rows_of(stem: str) -> Iterator[tuple[str, list[Any]]]:
    """The rows of the asv classes that a benchmark file defines itself."""
    module = importlib.import_module(f"benchmarks.{stem}")
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            for method in (one for one in dir(value) if one.startswith(PREFIX)):
                for params in product(*getattr(value, "params", ())):
                    yield f"{stem}.{name}.{method}", list(params)


def refusal(benchmark: str, params: list[Any]) -> str | None:
    """Why a row cannot run here, or None; one that starts its own processes reports it when it runs."""
    if not benchmark.endswith(f".{PREFIX}"):
        return None
    reason: str | None = calls().refusal(benchmark.split(".")[0], *params)
    return reason


def ready(benchmark: str, params: list[Any]) -> Call:
    """The call that is timed for a row."""
    call: Call = calls().ready(benchmark.split(".")[0], *params)
    return call


def warm(rows: list[Any]) -> None:
    """Import what rows need, so that forks have it; what compiled rows need is imported only for them."""
    module = calls()
    if any("compiled" in str(params[:1]) for _, params in rows):
        getattr(module, "import_compiler", lambda: None)()


def calls() -> ModuleType:
    """The module of the suite that makes the calls of rows."""
    return importlib.import_module("benchmarks.calls")


def run(benchmark: str, params: list[Any]) -> Any:
    """Run a row as asv would, and return its result."""
    stem, name, method = benchmark.split(".")
    row = getattr(importlib.import_module(f"benchmarks.{stem}"), name)()
    return getattr(row, method)(*params)
