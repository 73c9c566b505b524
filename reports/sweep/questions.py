"""Which rows a sweep measures: a few in minutes, those of the table of results, or the whole grid.

The parameter lists are in `benchmarks/` and do not depend on the kind of sweep, since asv identifies rows by them. A
quick sweep selects float32 at three sizes: tiny, where the overhead of the call dominates; a batch that fits into the
caches; and a size that people train with, larger than most caches. There it measures a training step as people run
it, the same with kept memory (`reuse`), where compiled code competes on equal terms, and the forward pass. The table
compares `native` with `torch`, `compiled` and `torch-compiled` at every size in steps and forward passes, in float32
and bfloat16, and with `torch` in the other dtypes. On CUDA it adds the implementations of other packages, and steps
replayed as graphs, which take no time on the host.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, get_args

from lossimpl.spec import COMPILING, OURS, TORCH_COMPILED, Name
from reports.record.rows import LOADING, Row

TINY = "32x10"
CACHED = {"cpu": "128x1000", "cuda": "256x1000"}
LARGE = {"cpu": (1 << 22, 1 << 27), "cuda": (1 << 27, 1 << 40)}  # elements larger than most caches: from, and below
EAGER = "vectorized"  # what people run who have no torch function for a loss
QUICK = {  # the implementations at the largest shape, by mode; each graph of torch.compile takes time in each round
    "step": ("torch", "native"),
    "reuse": ("torch", "native", "compiled", TORCH_COMPILED),
    "forward": ("torch", "native"),
}
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
    """The shapes of a loss that are larger than most caches, the smallest first, which is the one of a quick sweep.

    >>> large("triplet_margin_loss", "cpu")
    ('65536x128',)
    """
    shapes = benchmark_params(loss)[1]
    least, beyond = LARGE[device]
    return tuple(sorted((shape for shape in shapes if least <= elements(shape) < beyond), key=elements))


def benchmark_params(loss: str) -> tuple[tuple[str, ...], ...]:
    """The parameter lists of the benchmark of a loss."""
    stem, name, _ = benchmark_of(loss).split(".")
    found: tuple[tuple[str, ...], ...] = getattr(importlib.import_module(f"benchmarks.{stem}"), name).params
    return found


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
    """Steps in float32 at three shapes, and at the largest also with kept memory and forward."""
    largest = large(loss, device)[0]
    if dtype != "float32" or shape not in (TINY, CACHED[device], largest):
        return False
    if from_outside(implementation):
        return mode == "step" or (shape == largest and mode in QUICK)
    if shape != largest:
        return mode == "step" and implementation in ("torch", "native", "vectorized", *("naive",) * (shape == TINY))
    if implementation == EAGER:
        return mode == "step" and not has_torch(loss)
    return implementation in QUICK.get(mode, ()) or (
        mode == "step" and device == "cuda" and of_a_package(implementation)
    )


def of_a_package(implementation: str) -> bool:
    """Whether another package than torch registers the implementation; they have kernels for CUDA."""
    return implementation not in (*OURS, "torch", TORCH_COMPILED)


def from_outside(implementation: str) -> bool:
    """Whether neither this project nor a package that it knows has the implementation: a plug-in registers it.

    It stands in a benchmark's list because someone put it there, so it is measured wherever `native` is.
    """
    return implementation not in get_args(Name)


def has_torch(loss: str) -> bool:
    """Whether torch has the loss itself."""
    return "torch" in benchmark_params(loss)[0]


def quick_loading(dataset: object, num_workers: object, pin_memory: object, batch_size: object) -> bool:
    """Zero, one and two workers at one batch size; pinned memory only in a full sweep."""
    return not pin_memory and num_workers in (0, 1, 2) and batch_size == (16 if dataset == "photographs" else 64)


def table(row: Row) -> bool:
    """Whether README's table needs the row: more of the losses than a quick sweep, and the same loaders."""
    return quick(row) if row.benchmark == LOADING else table_loss(row.stem, *row.params)


def table_loss(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> bool:
    """Steps and forward passes at every size, kept memory at the largest; what compiles only in two dtypes."""
    largest = large(loss, device)
    eager = implementation == EAGER and not has_torch(loss)
    wanted = (
        implementation in TABLE
        or from_outside(implementation)
        or eager
        or (device == "cuda" and of_a_package(implementation))
    )
    if not wanted or shape not in (TINY, CACHED[device], *largest):
        return False
    if mode == "graph":
        return shape not in largest and dtype in ("float32", "bfloat16") and implementation != TORCH_COMPILED
    if dtype not in ("float32", "bfloat16"):
        return mode == "step" and implementation not in (*COMPILING, EAGER) and shape not in largest[1:]
    return mode in ("step", "forward") or (mode == "reuse" and shape in largest)


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
