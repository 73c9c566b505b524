"""What stands for the training step: a consumer that sleeps (as one that waits for a GPU) or computes (on the CPU)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lossimpl.measure.wall import now, sleep

Kind = Literal["sleep", "compute"]


def consumer(kind: Kind, seconds: float) -> Callable[[Any], None]:
    """A step of `seconds`.

    `sleep` leaves the processor to the workers. `compute` does a fixed amount of work that takes `seconds` on an idle
    machine, so that it takes longer where workers take the processor from it.
    """
    return {"sleep": _sleeping, "compute": _computing}[kind](seconds)


def _sleeping(seconds: float) -> Callable[[Any], None]:
    return lambda batch: sleep(seconds)


def _computing(seconds: float) -> Callable[[Any], None]:
    """Matrix products, as many as fit into `seconds` when nothing else runs."""
    import torch

    square = torch.rand(64, 64)
    for _ in range(10):
        square @ square
    started, calls = now(), 0
    while now() - started < 0.02:
        square @ square
        calls += 1
    repeats = range(max(1, round(seconds * calls / (now() - started))))

    def step(batch: Any) -> None:
        del batch
        for _ in repeats:
            square @ square

    return step
