"""The harness's side of the zygote: start it, hand it one job at a time, and come back with all that was seen.

A job's events are a file of JSON lines that the job opens, appends to and closes for each event, so nothing that was
measured is lost when the job dies, and a dataset that closes descriptors cannot cut it off.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lossimpl.loading import processes
from lossimpl.loading.job import EVENTS

START_SECONDS = 120.0
LONGEST_PLACE = 56  # a Unix socket's path has 107 bytes, of which `multiprocessing` and our folder need 50
GRACE_SECONDS = 15.0  # beyond the deadline, for killing and reaping; then the zygote itself is given up


@dataclass(frozen=True)
class Outcome:
    """All that is known of a job that has ended: its events, how it ended, and the end of what it printed.

    `exit` is the exit code, negative for a signal, None where nobody saw it. `deadline` is in seconds, `cpu_seconds`
    are those of all its processes, `segments` the shared memory that it left and that was removed.
    """

    events: tuple[dict[str, Any], ...] = ()
    exit: int | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    output: str = ""
    deadline: float = 0.0
    cpu_seconds: float = 0.0
    segments: tuple[str, ...] = ()

    def first(self, name: str) -> dict[str, Any] | None:
        """The first event of that name, or None."""
        return next((event for event in self.events if event["event"] == name), None)

    @property
    def phase(self) -> str:
        """The phase in which the job was last seen."""
        return next((event["name"] for event in reversed(self.events) if event["event"] == "phase"), "start")


@dataclass
class Zygote:
    """Runs jobs, each in a fresh process; a context manager that leaves nothing behind.

    `environment` is added to that of the processes (thread counts of BLAS libraries, for instance).
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    heard: bytes = b""

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, job: Mapping[str, Any], seconds: float) -> Outcome:
        """Run one job to its end or to its deadline of `seconds`; an interrupt ends job and zygote, then goes on.

        The job's folder is also the place of its temporary files, and goes with them whatever becomes of it.
        """
        before = processes.segments()
        with tempfile.TemporaryDirectory(prefix="lossimpl-", dir=short_place(), ignore_cleanup_errors=True) as folder:
            events = Path(folder, EVENTS)
            events.touch()
            try:
                answer = self._exchange({"job": dict(job), "seconds": seconds, "folder": folder}, seconds)
            except BaseException:
                self.close()
                raise
            finally:
                processes.remove_semaphores(folder)
            recorded = read_events(events) if events.exists() else ()
        pids = answer.pop("pids", [])
        return Outcome(recorded, deadline=seconds, segments=tuple(processes.remove_segments(pids, before)), **answer)

    def _exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """One request and its last answer. Where the zygote itself dies, what it would have answered."""
        process = self._started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        begun = self._hear(GRACE_SECONDS)
        ended = self._hear(seconds + GRACE_SECONDS) if begun else None
        if ended is None:
            self.close()
            return {"exit": None, "pids": end_session(begun["pid"]) if begun else []}
        return ended

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is None:
            return self.process
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lossimpl.loading.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(search_path())},
        )
        if self._hear(START_SECONDS) is None:
            self.close()
            raise RuntimeError("the process that runs the configurations did not start; its error is printed above")
        return self.process

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """The next line from the zygote, or None where it has gone or does not answer in time."""
        assert self.process is not None
        assert self.process.stdout is not None
        while b"\n" not in self.heard:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            data = self.process.stdout.read(65_536)
            if not data:
                return None
            self.heard += data
        line, _, self.heard = self.heard.partition(b"\n")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the zygote, which ends all that descends from it."""
        process, self.process, self.heard = self.process, None, b""
        if process is None:
            return
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()


def short_place() -> str | None:
    """Where folders for jobs are made: None for the usual place, another where that leaves no room for sockets."""
    return "/tmp" if len(tempfile.gettempdir()) > LONGEST_PLACE else None


def search_path() -> list[str]:
    """Where the processes look for modules: as we do, and in the folder that the user stands in."""
    entries = [entry for entry in sys.path if entry]
    return [*entries, os.getcwd()] if os.getcwd() not in entries else entries


def read_events(path: Path) -> tuple[dict[str, Any], ...]:
    """The events of a job; a last line that was cut off by its death is left out."""
    events = []
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return tuple(event for event in events if isinstance(event, dict) and "event" in event)


def end_session(session: int) -> list[int]:
    """Kill what is left of a job whose zygote was killed; return its processes."""
    pids = processes.in_session(session)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [session, *pids]
