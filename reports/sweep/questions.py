"""Which rows a sweep asks for: a few in minutes, those of README's table, or the whole grid.

The parameter lists live in `benchmarks/` and never change with the kind of sweep, since asv knows rows by them. A quick
sweep only selects, in float32, training steps at three sizes: tiny, where the overhead of the call rules; a batch that
the caches hold; and what people train with, which only memory holds. There `naive` takes seconds a call and is left
out, and so is `vectorized` of the losses over 16 Mi elements; `compiled` is asked there alone, because each of its
graphs costs seconds to make. The table compares `native` with `torch` and `compiled` at every size and dtype, and with
`torch-compiled` at the largest; on CUDA also replayed as graphs, where the host's share is what small sizes take.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lossimpl.spec import COMPILING, TORCH_COMPILED

TINY = "32x10"
CACHED = {"cpu": "128x1000", "cuda": "256x1000"}
LARGE = {  # what only memory holds, by device and loss; the first for a quick sweep
    "cpu": {
        "cross_entropy": ("512x32000", "2048x50257"),
        "softmax_focal_loss": ("512x32000",),
        "triplet_margin_loss": ("65536x128",),
    },
    "cuda": {
        "cross_entropy": ("8192x32000", "8192x50257", "4096x128256", "4096x262144"),
        "softmax_focal_loss": ("8192x32000",),
        "triplet_margin_loss": ("1048576x128",),
    },
}
DENSE = {"cpu": ("16384x1024",), "cuda": ("131072x1024",)}  # every other loss
TABLE = ("native", "torch", *COMPILING)
LOADING = "loading.Loading.track_seconds_per_sample"


@dataclass(frozen=True)
class Question:
    """One row to be measured: asv's name of a benchmark, and the values of its parameters."""

    benchmark: str
    values: tuple[object, ...]

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters as asv writes them."""
        return tuple(map(repr, self.values))

    @property
    def stem(self) -> str:
        """The benchmark's file: a loss, or `loading`."""
        return self.benchmark.partition(".")[0]

    @property
    def record(self) -> dict[str, object]:
        """The fields of a side-car's row that say which question it answers."""
        found: dict[str, object] = {"benchmark": self.benchmark, "params": list(self.params)}
        if self.benchmark == LOADING:
            return found | {"dataset": self.values[0]}
        names = ("implementation", "shape", "dtype", "device", "mode")
        return found | {"loss": self.stem, **dict(zip(names, self.values, strict=True))}

    @property
    def text(self) -> str:
        """The row as people read it while it runs."""
        return " ".join(map(str, (self.stem, *self.values)))


def benchmark_of(loss: str) -> str:
    """asv's name of the benchmark of a loss.

    >>> benchmark_of("smooth_l1_loss")
    'smooth_l1_loss.SmoothL1Loss.track_seconds'
    """
    return f"{loss}.{loss.title().replace('_', '')}.track_seconds"


def grid(benchmark: str) -> Iterator[Question]:
    """Every row of a benchmark, in asv's order."""
    stem, name, _ = benchmark.split(".")
    params = getattr(importlib.import_module(f"benchmarks.{stem}"), name).params
    for values in itertools.product(*params):
        yield Question(benchmark, values)


def large(loss: str, device: str) -> tuple[str, ...]:
    """The shapes of a loss that are limited by memory."""
    return LARGE[device].get(loss, DENSE[device])


def quick(question: Question) -> bool:
    """Whether a quick sweep asks this."""
    if question.benchmark == LOADING:
        return quick_loading(*question.values)
    return quick_loss(question.stem, *map(str, question.values))


def quick_loss(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> bool:
    """Steps in float32 at three shapes, and the forward pass of `native` at the largest."""
    largest = large(loss, device)[0]
    if dtype != "float32" or shape not in (TINY, CACHED[device], largest) or implementation == TORCH_COMPILED:
        return False
    if shape == TINY:
        return mode == "step" and implementation != "compiled"
    if shape == CACHED[device]:
        return mode == "step" and implementation not in ("compiled", "naive")
    if implementation == "naive" or (implementation == "vectorized" and (largest,) == DENSE[device]):
        return False
    return mode == "step" or (mode == "forward" and implementation == "native")


def table(question: Question) -> bool:
    """Whether README's table asks this: what a quick sweep asks of loaders, and more of the losses."""
    if question.benchmark == LOADING:
        return quick(question)
    return table_loss(question.stem, *map(str, question.values))


def table_loss(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> bool:
    """Steps of all; into kept memory, and forward, at the largest shapes; what compiles in the usual dtypes alone."""
    largest = large(loss, device)
    if implementation not in (*TABLE, *peers(device)) or shape not in (TINY, CACHED[device], *largest):
        return False
    if mode == "graph":
        return shape not in largest and dtype in ("float32", "bfloat16") and implementation != TORCH_COMPILED
    if dtype not in ("float32", "bfloat16"):
        return mode == "step" and implementation not in COMPILING and shape not in largest[1:]
    if mode == "forward":
        return shape in largest and implementation not in COMPILING
    return shape in largest or (mode == "step" and implementation != TORCH_COMPILED)


def peers(device: str) -> tuple[str, ...]:
    """What others offer on that device beside torch."""
    return ("liger", "quack", "torchvision", "metric_learning") if device == "cuda" else ()


def quick_loading(dataset: object, num_workers: object, pin_memory: object, batch_size: object) -> bool:
    """No worker, one and two at one batch size; pinned memory is for a machine with a GPU and a full sweep."""
    return not pin_memory and num_workers in (0, 1, 2) and batch_size == (16 if dataset == "photographs" else 64)


Grid = Literal["quick", "table", "full"]
GRIDS: dict[Grid, Callable[[Question], bool]] = {"quick": quick, "table": table, "full": lambda question: True}


def select(losses: Iterable[str], devices: Iterable[str], name: Grid) -> list[Question]:
    """The rows of a sweep of that grid on these devices, in the order in which asv measures them."""
    absent = {"cpu", "cuda"} - set(devices)
    benchmarks = sorted([*map(benchmark_of, losses), LOADING])
    rows = itertools.chain.from_iterable(map(grid, benchmarks))
    return [row for row in rows if not absent & set(row.values) and recordable(row) and GRIDS[name](row)]


def recordable(question: Question) -> bool:
    """Whether there is a device that could: only CUDA's work is recorded as a graph."""
    return not {"graph", "cpu"} <= set(question.values)


def patterns(questions: Iterable[Question]) -> list[str]:
    """Regular expressions, one a benchmark, that find exactly these rows among asv's names."""
    found = []
    for benchmark, rows in itertools.groupby(questions, key=lambda each: each.benchmark):
        params = "|".join(re.escape(", ".join(row.params)) for row in rows)
        found.append(rf"^{re.escape(benchmark)}\((?:{params})\)$")
    return found
