"""A worker as a child process: its answers, its end in every case, and the last lines of its error output."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from lossimpl.building import POLL_SECONDS, stopping
from lossimpl.measure import wall
from reports.gate import family
from reports.record.rows import Row

WORKER = Path(__file__).with_name("worker")
BEGAN = wall.now()
LAST_LINES = 40  # of stderr, which are kept
EXIT_SECONDS = 5.0  # for a worker that has given all its answers
LATE_SILENCE = 60.0  # seconds for a row to answer when the budget is used up
Answer = dict[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A row, or a whole process, that could not be measured: `kind` is error, crashed or timeout, or empty."""

    kind: str
    text: str
    row: Row | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.kind else self.text


@dataclass(frozen=True)
class Patience:
    """How many seconds without an answer are a failure, and when to stop waiting in any case."""

    silence: float
    until: float = math.inf

    def is_over(self, silent: float) -> bool:
        """Whether a row hangs; once the time is up, no row may be silent for longer than a loader."""
        return silent > (min(self.silence, LATE_SILENCE) if wall.now() > self.until else self.silence)


@dataclass
class Answers:
    """What a worker answered; `failure` is None if it finished."""

    received: list[Answer] = field(default_factory=list)
    failure: Failure | None = None

    def rows(self) -> dict[Row, Answer]:
        """The answers that belong to a row."""
        return {row_of(answer["row"]): answer for answer in self.received if "row" in answer}


def say(text: str) -> None:
    """Print what the gate is doing to stderr, after the seconds since it began; the report goes to stdout."""
    print(f"gate {wall.now() - BEGAN:4.0f} s: {text}", file=sys.stderr, flush=True)


def row_of(pair: list[Any]) -> Row:
    """A row from its JSON form."""
    return Row(pair[0], tuple(pair[1]))


class Worker:
    """A worker process: send it lines of JSON, receive its answers. No descendant of it outlives `end`."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        variable, self._mark = family.marked()
        self._child = subprocess.Popen(
            [*command, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, **variable},
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        streams = ((_forward, self._child.stdout, self._lines), (_keep, self._child.stderr, self._last_lines))
        self._readers = [threading.Thread(target=read, args=(a, b), daemon=True) for read, a, b in streams]
        for reader in self._readers:
            reader.start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a line; if the process has died, its exit says why."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(message) + "\n")
            self._child.stdin.flush()

    def receive(self, patience: Patience, row: Row | None = None) -> Answer | Failure | None:
        """The next answer, or the failure that prevents one; None if the time is up or the run was interrupted."""
        heard = wall.now()
        while True:
            try:
                line = self._lines.get(timeout=POLL_SECONDS)
            except queue.Empty:
                silent = wall.now() - heard
                if self._child.poll() is not None:  # its own children may keep the pipe open
                    return self._failure(row)
                if patience.is_over(silent):
                    return Failure("timeout", f"no answer for {silent:.0f} s", row)
                if stopping.is_set() or wall.now() > patience.until:
                    return None
                continue
            return self._failure(row) if line is None else cast(Answer, json.loads(line))

    def finish(self) -> None:
        """Give a process that has given all its answers the time to exit; it may wait for its children forever."""
        assert self._child.stdin is not None
        with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self._child.stdin.close()
            self._child.wait(EXIT_SECONDS)

    def end(self) -> None:
        """Kill the process first, so that it starts nothing more; the others are asked to end, since some clean up."""
        self._child.kill()
        self._child.wait()
        family.end(self._mark)

    def death(self, code: int, row: Row | None) -> Failure:
        """How the process, or a fork of it, ended: a Python error by its last line, a killed process by its signal."""
        printed = [line.strip() for line in self._last_lines]
        printed = [line for line in printed if line and not line.startswith("==")]  # Valgrind's lines
        signals = {one.value for one in signal.Signals}
        number = -code if code < 0 else code - 128 if code - 128 in signals else 0
        if number:
            after = f"; last line: {printed[-1]}" if printed else ""
            return Failure("crashed", f"killed by {signal.Signals(number).name}{after}", row)
        return Failure("error" if printed else "crashed", printed[-1] if printed else f"ended with code {code}", row)

    def _failure(self, row: Row | None) -> Failure:
        code = self._child.wait()
        self._readers[1].join(timeout=1)
        return self.death(code, row)


def ask(
    command: list[str],
    job: Mapping[str, Any],
    environment: Mapping[str, str],
    silence: float = 300.0,
    until: float = math.inf,
) -> Answers:
    """Run a worker on one job and collect its answers; more than `silence` seconds without one is a timeout.

    At the time `until` it is ended without a failure, with the answers so far.
    """
    worker = Worker(command, environment)
    answers, started = Answers(), None
    try:
        worker.send(job)
        while True:
            answer = worker.receive(Patience(silence, until), started)
            if answer is None:
                return answers
            if isinstance(answer, Failure):
                answers.failure = answer
                return answers
            started = row_of(answer["start"]) if "start" in answer else started
            answers.received.append(answer)
            if answer.get("done"):
                worker.finish()
                return answers
    finally:
        worker.end()


def _forward(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _keep(stream: IO[str], last_lines: deque[str]) -> None:
    last_lines.extend(stream)


def side_by_side(*jobs: Callable[[], Result]) -> list[Result]:
    """Run the jobs at the same time; the first failure, or an interruption, ends what the others wait for."""
    with ThreadPoolExecutor(len(jobs)) as lanes:
        running = [lanes.submit(job) for job in jobs]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for one in done:
                one.result()
            return [one.result() for one in running]
        except BaseException:
            stopping.set()
            raise
        finally:
            lanes.shutdown()
            stopping.clear()
