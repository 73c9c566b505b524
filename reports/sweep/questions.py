"""Which rows a sweep asks for: a few in minutes, or the whole grid.

The parameter lists live in `benchmarks/` and never change with the kind of sweep, since asv knows rows by them. A quick
sweep only selects, in float32, training steps at three sizes: tiny, where the overhead of the call rules; a batch that
the caches hold; and what people train with, which only memory holds. There `naive` takes seconds a call and is left
out, and so is `vectorized` of the losses over 16 Mi elements; `compiled` is asked there alone, because each of its
graphs costs seconds to make.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

TINY, CACHED = "32x10", "128x1000"
LARGE = {
    "cross_entropy": "512x32000",
    "softmax_focal_loss": "512x32000",
    "triplet_margin_loss": "65536x128",
}
DENSE = "16384x1024"  # every other loss


@dataclass(frozen=True)
class Question:
    """One row to be measured: a loss and the five parameters, in the order in which asv asks."""

    loss: str
    implementation: str
    shape: str
    dtype: str
    device: str
    mode: str

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters as asv writes them."""
        values = (self.implementation, self.shape, self.dtype, self.device, self.mode)
        return tuple(map(repr, values))

    @property
    def benchmark(self) -> str:
        """asv's name of the benchmark."""
        return f"{self.loss}.{class_name(self.loss)}.track_seconds"

    @property
    def text(self) -> str:
        """The row as people read it while it runs."""
        return f"{self.loss} {self.implementation} {self.shape} {self.dtype} {self.device} {self.mode}"


def class_name(loss: str) -> str:
    """The class that holds the benchmark of a loss.

    >>> class_name("smooth_l1_loss")
    'SmoothL1Loss'
    """
    return loss.title().replace("_", "")


def grid(loss: str) -> Iterator[Question]:
    """Every row of a loss, in asv's order."""
    benchmark = getattr(importlib.import_module(f"benchmarks.{loss}"), class_name(loss))
    for values in itertools.product(*benchmark.params):
        yield Question(loss, *values)


def quick(question: Question) -> bool:
    """Whether a quick sweep asks this."""
    if question.dtype != "float32":
        return False
    large = LARGE.get(question.loss, DENSE)
    name, step = question.implementation, question.mode == "step"
    if question.shape == TINY:
        return step and name != "compiled"
    if question.shape == CACHED:
        return step and name not in ("compiled", "naive")
    if question.shape != large or name == "naive" or (name == "vectorized" and large == DENSE):
        return False
    return step or name == "native"


def select(losses: Iterable[str], devices: Iterable[str], full: bool) -> list[Question]:
    """The rows of a sweep on these devices, in the order in which asv measures them."""
    served = tuple(devices)
    rows = itertools.chain.from_iterable(grid(loss) for loss in sorted(losses))
    return [row for row in rows if row.device in served and (full or quick(row))]


def patterns(questions: Iterable[Question]) -> list[str]:
    """Regular expressions, one a loss, that find exactly these rows among asv's names of parametrised benchmarks."""
    found = []
    for benchmark, rows in itertools.groupby(questions, key=lambda each: each.benchmark):
        params = "|".join(re.escape(", ".join(row.params)) for row in rows)
        found.append(rf"^{re.escape(benchmark)}\((?:{params})\)$")
    return found
