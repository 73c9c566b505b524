"""Rounds in fresh processes, which the caller can end: forks of a server that has imported torch and computed nothing.

A fork takes milliseconds where a new interpreter takes seconds to import torch. The server is a process of its own
because threads do not survive a fork: it imports, and never runs a parallel region; `serving` is its program. Code that
torch.compile made is kept in torch's cache on disk, so that a process only loads it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any

from lossimpl.measure import wall
from lossimpl.measure.types import Rule
from lossimpl.row import Row, from_record
from lossimpl.spec import COMPILING, Case, Implementation, Loss

PROGRAM = Path(__file__).with_name("serving.py")
START_SECONDS = 120.0  # importing torch takes that long on a busy machine
COMPILER = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # a pool of compilers would be forked along


@dataclass(frozen=True)
class Task:
    """One round: what `rounds.measure_round` is called with."""

    case: Case
    implementations: tuple[str, ...]
    number: int
    rule: Rule
    checked: Collection[str] = ()


@dataclass(frozen=True)
class Additions:
    """What the server lacks: a loss or implementations that were registered in this process, and tensors for inputs."""

    loss: str
    implementations: Mapping[str, Implementation] = field(default_factory=dict)
    new_loss: Loss | None = None
    tensors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The rows of a round, or none with the reason, the implementation that was being measured, and since when.

    `calling` holds the seconds since its first call began; 0 if that had not begun.
    """

    rows: tuple[Row, ...] = ()
    reason: str = ""
    implementation: str = ""
    calling: float = 0.0


class Server:
    """Runs rounds in processes that are forked from one child process, which starts at once and is needed later.

    By default the rounds are measured with this process's packages; `python` and `variables` name another interpreter
    and its environment, in which another commit of lossimpl may be installed.

    >>> from lossimpl.rounds import RULE
    >>> with Server() as server:
    ...     outcome = server.run(Task(Case("mse_loss", (8, 4)), ("torch",), 1, RULE), seconds=60)
    >>> [row.status for row in outcome.rows]
    ['ok']
    """

    def __init__(self, python: str | Path = sys.executable, variables: Mapping[str, str] | None = None) -> None:
        self._pipe, theirs = Pipe()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it lives as long as the server
        own = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._process = subprocess.Popen(
            [python, "-P", PROGRAM, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=(own if variables is None else dict(variables)) | COMPILER,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C reaches only this process
        )
        theirs.close()
        self._known: dict[str, list[str]] = {}
        self._compiles = False

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the server and what it forked: its end of the pipe closes, which it notices."""
        self._pipe.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()

    def known(self) -> dict[str, list[str]]:
        """The implementations of each loss that the server has; OSError if it does not start."""
        if not self._known:
            self._known = self._receive(START_SECONDS)
        return self._known

    def add(self, additions: Additions) -> None:
        """Give the server what it lacks; ValueError names an implementation that cannot be sent to it."""
        import cloudpickle

        self.known()
        for name, one in additions.implementations.items():
            try:
                cloudpickle.dumps(one)
            except Exception as error:  # whatever the __reduce__ of what it refers to raises
                raise ValueError(f"implementation {name!r} cannot be sent to another process: {error}") from error
        self._pipe.send_bytes(cloudpickle.dumps(("add", additions)))

    def run(self, task: Task, seconds: float, began: Callable[[str], object] = lambda name: None) -> Outcome:
        """The rows of a round; `seconds` is what each implementation may take before the process is ended.

        `began` is called with the name of each implementation when its turn comes.
        """
        self.known()
        if not self._compiles and any(name in COMPILING for name in task.implementations):
            self._send("compiler", None)
            self._receive(START_SECONDS)
            self._compiles = True
        self._send("round", asdict(task))
        current, calling, stopped = "", 0.0, ""
        rows: tuple[Row, ...] = ()
        message: str
        content: Any
        while True:
            message, content = self._receive(seconds) if self._pipe.poll(seconds) else ("late", None)
            if message == "late":
                stopped = f"no answer within {seconds:g} s"
                self._send("end", None)
            elif message == "began":
                current, calling = content, 0.0
                began(current)
            elif message == "calls":
                calling = wall.now()
            elif message == "rows":
                rows = tuple(map(from_record, content))
            elif message == "refused":
                stopped = content
            else:
                break
        if rows and not stopped:
            return Outcome(rows)
        return Outcome((), stopped or _died(content), current, wall.now() - calling if calling else 0.0)

    def _send(self, kind: str, content: Any) -> None:
        self._pipe.send((kind, content))

    def _receive(self, seconds: float) -> Any:
        try:
            if self._pipe.poll(seconds):
                return self._pipe.recv()
            reason = f"no answer within {seconds:g} s"
        except (EOFError, ConnectionError):
            self._errors.seek(0)
            reason = (self._errors.read().strip().splitlines() or ["no message"])[-1]
        raise OSError(f"the process that runs rounds ended: {reason}")


def _died(code: int) -> str:
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
