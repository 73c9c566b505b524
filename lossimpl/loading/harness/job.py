"""One job, inside its own fresh process: run one task and record what happens.

A task is a function `task(job, events)`, named `MODULE:FUNCTION` in the request, so that this module imports none.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import json
import os
import pkgutil
import random
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lossimpl.loading.harness import workers
from lossimpl.measure.wall import now

EVENTS = "events.jsonl"  # in the folder of a job
TEXT_KEPT = 6_000  # characters at either end


@dataclass
class Events:
    """Appends JSON lines to a file that is open only while a line is written.

    `spare` is a descriptor that is given up when none is left, so that this very fault can be written down.
    """

    path: str
    current: str = "start"
    spare: int = field(default_factory=lambda: os.open(os.devnull, os.O_RDONLY))

    def __call__(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "at": now(), **fields}) + "\n"
        try:
            self.append(line)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            with contextlib.suppress(OSError):  # a dataset that closes descriptors has closed this one, too
                os.close(self.spare)
            self.append(line)
            with contextlib.suppress(OSError):
                self.spare = os.open(os.devnull, os.O_RDONLY)

    def append(self, line: str) -> None:
        """Add a line to the file."""
        with open(self.path, "a") as file:
            file.write(line)

    def phase(self, name: str) -> None:
        """Record what is done from now on, so that a death or a hang can be placed."""
        self.current = name
        self("phase", name=name)


def run(job: Mapping[str, Any], events_path: str) -> int:
    """Run the job's task; return the exit code. Whatever the dataset raises becomes an event, with its place."""
    faulthandler.enable(all_threads=False)
    faulthandler.register(signal.SIGUSR1, all_threads=False, chain=False)
    events = Events(events_path)
    try:
        seed_everything(int(job.get("seed", 0)))
        events.phase("import")
        task = pkgutil.resolve_name(job["task"])
        workers.record_starts()
        task(job, events)
        events("workers", workers=workers.exits())
        events.phase("exit")
    except BaseException as error:
        record_error(error, events)
        return 1
    return 0


def record_error(error: BaseException, events: Events) -> None:
    """Events for the workers' exit codes and for the exception with its frames."""
    try:  # the handler that torch installs raises for each dead worker, once more here
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    except RuntimeError:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    described = describe(error)
    events("workers", workers=workers.exits(0.0 if described["in_worker"] else workers.PATIENCE))
    frames = [[one.filename, one.lineno, one.name] for one in traceback.extract_tb(error.__traceback__)]
    events("error", **described, phase=events.current, frames=frames, shared_free=shared_memory_free())


def shared_memory_free() -> int:
    """Bytes free in /dev/shm; 0 where there is none. Needs no descriptor."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def describe(error: BaseException) -> dict[str, Any]:
    """The type and the whole traceback of an exception; where a worker raised it, those that the worker sent.

    torch builds an exception of the same type again from text alone, which fails for some types and loses details for
    others; what was sent is still in the frame that tried.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        sent: Any = frame.f_locals.get("self") if frame.f_code.co_name == "reraise" else None
        if hasattr(sent, "exc_msg"):
            return {"type": sent.exc_type.__name__, "trace": cut(sent.exc_msg), "in_worker": True}
    return {"type": type(error).__name__, "trace": cut(trace_of(error)), "in_worker": False}


def trace_of(error: BaseException) -> str:
    """The traceback with the message; empty for an exception that cannot be printed."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:
        return ""


def cut(text: str) -> str:
    """Beginning and end of a text: a traceback begins with the places and ends with the message."""
    return text if len(text) <= 2 * TEXT_KEPT else f"{text[:TEXT_KEPT]}\n  ...\n{text[-TEXT_KEPT:]}"


def seed_everything(seed: int) -> None:
    """The seeds that a training script sets at its start."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
