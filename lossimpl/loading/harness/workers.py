"""The worker processes of `DataLoader`, recorded as they are started, so that each one's exit code is known later.

A worker that dies while `iter(loader)` still starts the others makes that call raise, and the iterator that holds the
worker is never seen; so this hooks into `multiprocessing` itself.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from functools import wraps
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

PATIENCE = 0.5  # seconds for an exit code that is on its way: under forkserver another process sends it
ENDED_WELL = (0, -signal.SIGTERM)  # the latter is how torch ends a worker that it no longer waits for
STARTED: list[BaseProcess] = []


def record_starts() -> None:
    """From now on, keep every worker that this process starts."""
    from torch.utils.data._utils.worker import _worker_loop

    start = BaseProcess.start

    @wraps(start)
    def recording(self: Any) -> None:
        if self._target is _worker_loop:  # gone once it has started
            STARTED.append(self)
        start(self)

    BaseProcess.start = recording  # type: ignore[method-assign]  # there is no public way to hear of a start


def forget() -> None:
    """Drop those that have ended as they should: called between epochs, which start workers of their own."""
    STARTED[:] = [one for one in STARTED if one.exitcode not in ENDED_WELL]


def exits(patience: float = 0.0) -> list[dict[str, Any]]:
    """Process id and exit code of each worker, None while it runs; waits up to `patience` for one to end if none has.

    A dying process closes its sentinel before its exit code is there, so that one is waited for with `join`.
    """
    started = [one for one in STARTED if one.pid is not None]
    if patience and started and all(one.exitcode is None for one in started):
        with suppress(OSError):  # a dataset that closes descriptors may have closed the sentinels
            ended = wait([one.sentinel for one in started], patience)
            for one in started:
                if one.sentinel in ended:
                    one.join(patience)
    return [{"pid": one.pid, "exit": one.exitcode} for one in started]
