"""Copies to a GPU: from pageable and from pinned memory, waiting and `non_blocking`, alone and beside a real step.

Timed with a synchronisation on both sides, because a `non_blocking` copy returns before it has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from lossimpl.measure.wall import now

REPEATS = 10
STEP_SIDE = 2048


def measure_copies(tensors: Sequence[Any]) -> dict[str, float]:
    """Seconds per batch, median of `REPEATS`: `pin`, `pageable`, `pinned`, `step`, and `step` with a copy beside it."""
    import torch

    pinned = [one.pin_memory() for one in tensors]
    square = torch.rand(STEP_SIDE, STEP_SIDE, device="cuda")
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def copy(sources: Sequence[Any], non_blocking: bool) -> None:
        for one in sources:
            one.to("cuda", non_blocking=non_blocking)

    def overlapped() -> None:
        with torch.cuda.stream(side):
            copy(pinned, True)
        square @ square

    return {
        "pin": timed(lambda: [one.pin_memory() for one in tensors]),
        "pageable": timed(lambda: copy(tensors, False)),
        "pinned": timed(lambda: copy(pinned, False)),
        "pinned_non_blocking": timed(lambda: copy(pinned, True)),
        "step": timed(lambda: square @ square),
        "step_with_copy": timed(overlapped),
    }


def timed(call: Callable[[], object]) -> float:
    """The median seconds of a call, from an idle device to an idle device."""
    import torch

    call()
    spent = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        started = now()
        call()
        torch.cuda.synchronize()
        spent.append(now() - started)
    return median(spent)
