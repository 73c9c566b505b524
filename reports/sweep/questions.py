"""Which rows a sweep measures: a few in minutes, those of README's table, or the whole grid.

The parameter lists are in `benchmarks/` and do not depend on the kind of sweep, since asv identifies rows by them. A
quick sweep selects training steps in float32 at three sizes: tiny, where the overhead of the call dominates; a batch
that fits into the caches; and a size that people train with, which only fits into memory. There `naive` is left out,
since it takes seconds per call, and so is `vectorized` of the losses over 16 Mi elements; `compiled` is measured only
there, since each of its graphs takes seconds to compile. The table compares `native` with `torch` and `compiled` at
every size and dtype, and with `torch-compiled` at the largest. On CUDA it adds the implementations of other packages,
and steps replayed as graphs, which take no time on the host.
"""

from __future__ import annotations

import importlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from lossimpl.spec import COMPILING, TORCH_COMPILED
from reports.record.rows import LOADING, Row

TINY = "32x10"
CACHED = {"cpu": "128x1000", "cuda": "256x1000"}
LARGE = {"cpu": (1 << 22, 1 << 27), "cuda": (1 << 27, 1 << 40)}  # elements that only memory holds: from, and below
MOST_EAGER = 1 << 24  # elements from which a quick sweep leaves out tensor expressions, at half a second per call
EAGER = ("naive", "vectorized")  # never in the table
TABLE = ("native", "torch", *COMPILING)  # in the table of both devices; other packages only in CUDA's


def benchmark_of(loss: str) -> str:
    """asv's name of the benchmark of a loss.

    >>> benchmark_of("smooth_l1_loss")
    'smooth_l1_loss.SmoothL1Loss.track_seconds'
    """
    return f"{loss}.{loss.title().replace('_', '')}.track_seconds"


def grid(benchmark: str) -> Iterator[Row]:
    """Every row of a benchmark, in asv's order."""
    stem, name, _ = benchmark.split(".")
    params = getattr(importlib.import_module(f"benchmarks.{stem}"), name).params
    for values in itertools.product(*params):
        yield Row(benchmark, values)


def large(loss: str, device: str) -> tuple[str, ...]:
    """The shapes of a loss that are limited by memory, in the order of its benchmark; a quick sweep takes the first.

    >>> large("triplet_margin_loss", "cpu")
    ('65536x128',)
    """
    stem, name, _ = benchmark_of(loss).split(".")
    shapes = getattr(importlib.import_module(f"benchmarks.{stem}"), name).params[1]
    least, beyond = LARGE[device]
    return tuple(shape for shape in shapes if least <= elements(shape) < beyond)


def elements(shape: str) -> int:
    """How many elements a shape has.

    >>> elements("32x10")
    320
    """
    return math.prod(map(int, shape.split("x")))


def quick(row: Row) -> bool:
    """Whether a quick sweep measures the row."""
    if row.benchmark == LOADING:
        return quick_loading(*row.params)
    return quick_loss(row.stem, *row.params)


def quick_loss(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> bool:
    """Steps in float32 at three shapes, and the forward pass of `native` at the largest."""
    largest = large(loss, device)[0]
    if dtype != "float32" or shape not in (TINY, CACHED[device], largest) or implementation == TORCH_COMPILED:
        return False
    if shape == TINY:
        return mode == "step" and implementation != "compiled"
    if shape == CACHED[device]:
        return mode == "step" and implementation not in ("compiled", "naive")
    if implementation == "naive" or (implementation == "vectorized" and elements(largest) >= MOST_EAGER):
        return False
    return mode == "step" or (mode == "forward" and implementation == "native")


def quick_loading(dataset: object, num_workers: object, pin_memory: object, batch_size: object) -> bool:
    """Zero, one and two workers at one batch size; pinned memory only in a full sweep."""
    return not pin_memory and num_workers in (0, 1, 2) and batch_size == (16 if dataset == "photographs" else 64)


def table(row: Row) -> bool:
    """Whether README's table needs the row: more of the losses than a quick sweep, and the same loaders."""
    return quick(row) if row.benchmark == LOADING else table_loss(row.stem, *row.params)


def table_loss(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> bool:
    """Steps at every size, other modes at the largest; compiling implementations only in float32 and bfloat16."""
    largest = large(loss, device)
    excluded = implementation in EAGER or (device == "cpu" and implementation not in TABLE)
    if excluded or shape not in (TINY, CACHED[device], *largest):
        return False
    if mode == "graph":
        return shape not in largest and dtype in ("float32", "bfloat16") and implementation != TORCH_COMPILED
    if dtype not in ("float32", "bfloat16"):
        return mode == "step" and implementation not in COMPILING and shape not in largest[1:]
    if mode == "forward":
        return shape in largest and implementation not in COMPILING
    return shape in largest or (mode == "step" and implementation != TORCH_COMPILED)


Grid = Literal["quick", "table", "full"]
GRIDS: dict[Grid, Callable[[Row], bool]] = {"quick": quick, "table": table, "full": lambda row: True}


def select(losses: Iterable[str], devices: Iterable[str], name: Grid) -> list[Row]:
    """The rows of a sweep of that grid on these devices, in the order in which asv measures them."""
    absent = {"cpu", "cuda"} - set(devices)
    benchmarks = sorted([*map(benchmark_of, losses), LOADING])
    rows = itertools.chain.from_iterable(map(grid, benchmarks))
    return [row for row in rows if not absent & set(row.params) and recordable(row) and GRIDS[name](row)]


def recordable(row: Row) -> bool:
    """Whether the row can exist: only CUDA has graphs."""
    return not {"graph", "cpu"} <= set(row.params)


def patterns(rows: Iterable[Row]) -> list[str]:
    """One regular expression per benchmark; together they match exactly these rows among asv's names."""
    found = []
    for benchmark, group in itertools.groupby(rows, key=lambda row: row.benchmark):
        params = "|".join(re.escape(", ".join(row.texts)) for row in group)
        found.append(rf"^{re.escape(benchmark)}\((?:{params})\)$")
    return found
