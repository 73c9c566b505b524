"""Can it be sent to a worker under spawn? Pickles as `multiprocessing` does, without starting a process."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import context
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch.multiprocessing  # noqa: F401  (registers how tensors are sent)

from lossimpl.loading.data.objects import DEEPEST, children


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


class Counter:
    """A file that keeps nothing and counts the bytes, so that a dataset larger than memory can be weighed."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        """Count the bytes of one piece."""
        written = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        self.size += written
        return written

    def beside(self, buffer: pickle.PickleBuffer) -> None:
        """Count a buffer, such as that of an array, without copying it."""
        self.size += buffer.raw().nbytes


def attempt(value: Any) -> tuple[int | None, str]:
    """The size of the pickled value, or None and the reason why there is none."""
    counter = Counter()
    try:
        with about_to_spawn():
            ForkingPickler(counter, 5, True, counter.beside).dump(value)
    except Exception as error:
        return None, f"{type(error).__name__}: {text_of(error)}"
    return counter.size, ""


def text_of(error: Exception) -> str:
    """The message of an exception; empty for one that cannot be printed."""
    try:
        return str(error)
    except Exception:
        return ""


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
