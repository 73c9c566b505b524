"""Calls in a child process with a deadline: an exception, a hang or a crash becomes an outcome for the caller.

The child is spawned (a forked one inherits torch's locked thread pools) and kept for the next call; it is replaced
only after a hang or a crash, because importing torch takes seconds.
"""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from lossimpl.terminal import interrupts_blocked

START_SECONDS = 120.0  # a child imports torch first, which takes long on a busy machine


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call: `returned` with its value, or `raised`, `hung`, `crashed` with the reason."""

    status: str
    value: Any = None
    reason: str = ""


class Worker:
    """A child process that runs one call after another.

    >>> with Worker() as worker:
    ...     worker.run(abs, -3, seconds=60).value
    3
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def run(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Outcome:
        """Call `function(*arguments)` (picklable, as its result) in the child, for at most `seconds`."""
        try:
            pipe = self._pipe or self._start()
            pipe.send((function, arguments))
            if pipe.poll(seconds):
                return Outcome(*pipe.recv())
        except (EOFError, ConnectionError):
            return Outcome("crashed", reason=self._stop())
        self._stop()
        return Outcome("hung", reason=f"no answer within {seconds:g} s")

    def renew(self) -> None:
        """End the child, so that the next call has a new one."""
        if self._process is not None:
            self._stop()

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        resource_tracker.ensure_running()  # otherwise `start` would do it, and unblock the signals
        with interrupts_blocked():
            self._process.start()
        theirs.close()
        if not self._pipe.poll(START_SECONDS):
            raise TimeoutError(f"a child process did not start within {START_SECONDS:g} s")
        self._pipe.recv()
        return self._pipe

    def _stop(self) -> str:
        if self._process is None or self._pipe is None:
            return "the process was not running"
        self._pipe.close()
        self._process.join(1.0)
        code = self._process.exitcode
        self._process.kill()
        self._process.join()
        self._process, self._pipe = None, None
        return _died(code)


def _died(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process was killed by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"


def _serve(pipe: Connection) -> None:
    import torch  # here, so that the import does not count against a deadline

    torch.set_num_threads(1)  # small tensors: a second thread costs more than it computes
    warnings.simplefilter("ignore")  # broadcasting warns by contract, once per case
    with suppress(EOFError, ConnectionError):  # the parent closed the pipe
        pipe.send("ready")
        while True:
            function, arguments = pipe.recv()
            pipe.send(_answer(function, arguments))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any, str]:
    try:
        return "returned", function(*arguments), ""
    except Exception as error:
        return "raised", None, f"{type(error).__name__}: {error}"
