"""Starts the zygote, gives it one job at a time, and returns everything that was recorded of the job.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossimpl.loading.harness import processes
from lossimpl.loading.harness.job import EVENTS
from lossimpl.measure.wall import now

START_SECONDS = 120.0
LONGEST_PLACE = 48  # a Unix socket's path has 107 bytes, of which `multiprocessing` and our folder need 58
WAITING_SECONDS = 5.0  # between two calls of `waiting`
GRACE_SECONDS = 15.0  # beyond the deadline, for killing and reaping; then the zygote itself is ended


@dataclass(frozen=True)
class Outcome:
    """All that is known of a job that has ended: its events, how it ended, and the end of what it printed.

    `exit` is the exit code, negative for a signal, None where nobody saw it. `deadline` is in seconds, `cpu_seconds`
    are those of all its processes. `cut`: the deadline was shorter than the job deserved, because the budget ended.
    """

    events: tuple[dict[str, Any], ...] = ()
    exit: int | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    output: str = ""
    deadline: float = 0.0
    cpu_seconds: float = 0.0
    cut: bool = False

    def first(self, name: str) -> dict[str, Any] | None:
        """The first event of that name, or None."""
        return next((event for event in self.events if event["event"] == name), None)

    @property
    def phase(self) -> str:
        """The phase in which the job was last seen."""
        return next((event["name"] for event in reversed(self.events) if event["event"] == "phase"), "start")


@dataclass
class Zygote:
    """Runs jobs, each in a fresh process; once closed, it leaves no process and no file behind.

    `environment` is added to that of the processes (thread counts of BLAS libraries, for instance). `waiting` is called
    every few seconds while a job runs, with its phase and the seconds so far. `start_seconds`: how long the zygote took
    to start, most of it for importing torch, as each worker under spawn and forkserver does.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    waiting: Callable[[str, float], None] | None = None
    start_seconds: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    buffered: bytes = b""

    def run(self, job: Mapping[str, Any], seconds: float) -> Outcome:
        """Run one job to its end or to its deadline of `seconds`; an interrupt ends job and zygote, then propagates.

        The job's folder also holds its temporary files, and is removed with them however the job ends.
        """
        before = processes.segments()
        with job_folder() as folder:
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
        processes.remove_segments(answer["pids"], before)
        known = {name: value for name, value in answer.items() if name in Outcome.__dataclass_fields__}
        return Outcome(recorded, deadline=seconds, **known)

    def _exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """One request and its last answer; where the zygote itself dies, the answer it could not give."""
        process = self._started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        begun = self._receive(GRACE_SECONDS)
        ended = self._answer(seconds + GRACE_SECONDS, Path(request["folder"], EVENTS)) if begun else None
        if ended is None:
            self.close()
            return {"exit": None, "pids": end_session(begun["pid"]) if begun else []}
        return ended

    def _answer(self, seconds: float, events: Path) -> dict[str, Any] | None:
        """The last answer for a job; meanwhile `waiting` is called."""
        started, shown = now(), 0.0
        while (left := seconds - (now() - started)) > 0:
            if (found := self._receive(min(WAITING_SECONDS, left))) or self.ended:
                return found
            shown += WAITING_SECONDS
            if self.waiting is not None:
                self.waiting(Outcome(read_events(events)).phase if events.exists() else "start", shown)
        return None

    @property
    def ended(self) -> bool:
        """Whether there is no living zygote."""
        return self.process is None or self.process.poll() is not None

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is not None and not self.ended:
            return self.process
        started = now()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lossimpl.loading.harness.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(search_path())},
        )
        if self._receive(START_SECONDS) is None:
            self.close()
            raise RuntimeError("the process that runs the configurations did not start; its error is printed above")
        self.start_seconds = now() - started
        return self.process

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        """The next line from the zygote, or None where it has ended or does not answer in time."""
        assert self.process is not None
        assert self.process.stdout is not None
        while b"\n" not in self.buffered:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            data = self.process.stdout.read(65_536)
            if not data:
                return None
            self.buffered += data
        line, _, self.buffered = self.buffered.partition(b"\n")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the zygote, which ends all that descends from it."""
        process, self.process, self.buffered = self.process, None, b""
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


def job_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one job, whose name, which the job's semaphores share, starts with the id of this process."""
    return tempfile.TemporaryDirectory(prefix=f"lossimpl-{os.getpid()}-", dir=short_place(), ignore_cleanup_errors=True)


def short_place() -> str | None:
    """Where folders for jobs are made: None for the usual place, `/tmp` where that leaves no room for sockets."""
    return "/tmp" if len(tempfile.gettempdir()) > LONGEST_PLACE else None


def search_path() -> list[str]:
    """Where the processes look for modules: our own search path, and the current folder."""
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
