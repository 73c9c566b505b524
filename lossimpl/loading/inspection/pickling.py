"""Can it be sent to a worker under spawn? Pickles as `multiprocessing` does, without starting a process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import context
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch.multiprocessing  # noqa: F401  (registers how tensors are sent)

from lossimpl.loading.inspection.walk import DEEPEST, children


class Pretended:
    """What `multiprocessing` asks of a process that it is about to start."""

    def duplicate_for_child(self, descriptor: int) -> int:
        """The number under which the child would find the descriptor."""
        return descriptor

    DupFd = duplicate_for_child


@contextmanager
def about_to_spawn() -> Iterator[None]:
    """Locks and shared values allow themselves to be pickled only while a process is being started."""
    before = context.get_spawning_popen()
    context.set_spawning_popen(Pretended())  # type: ignore[arg-type]  # all that pickling asks of a Popen
    try:
        yield
    finally:
        context.set_spawning_popen(before)


def attempt(value: Any) -> tuple[int | None, str]:
    """The size of the pickled value, or None and the reason why there is none."""
    buffer = io.BytesIO()
    try:
        with about_to_spawn():
            ForkingPickler(buffer, 4).dump(value)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    return buffer.tell(), ""


def pickled_size(value: Any) -> int | None:
    """Bytes that spawn and forkserver send to each worker; None where it cannot be pickled.

    Tensors count as handles only: they travel in shared memory.
    """
    return attempt(value)[0]


def unpicklable(value: Any, path: str) -> tuple[str, str]:
    """The path of the innermost part that cannot be pickled, and the reason."""
    reason = attempt(value)[1]
    for _ in range(DEEPEST):
        culprit = next(((where, item) for where, item in children(value, path) if attempt(item)[0] is None), None)
        if culprit is None:
            return path, reason
        path, value = culprit
        reason = attempt(value)[1]
    return path, reason
