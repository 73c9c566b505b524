"""A worker as a child process: its answers, its end in every case, and the last lines of its error output."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from lossimpl.measure import wall
from reports.gate import family
from reports.record.rows import Row
from reports.sweep import overlay

WORKER = Path(__file__).with_name("worker")
LAST_LINES = 40  # of stderr, which are kept
POLL_SECONDS = 0.2
EXIT_SECONDS = 5.0  # for a worker that has given all its answers
OWN_SILENCE = 90.0  # seconds for a row that starts its own processes, which gives up a hanging loader after 60
Answer = dict[str, Any]
Result = TypeVar("Result")

stopping = threading.Event()


@dataclass(frozen=True)
class Failure:
    """A row, or a whole process, that could not be measured: `kind` is error, crashed or timeout."""

    kind: str
    text: str
    row: Row | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Patience:
    """How many seconds without an answer are a failure, and when to stop waiting in any case."""

    silence: float
    until: float

    def is_over(self, silent: float, started: Row | None) -> bool:
        """Whether a row hangs; after `until` the shorter limit of loaders applies to every row."""
        own = started is not None and (started.measures_itself or wall.now() > self.until)
        return silent > (min(self.silence, OWN_SILENCE) if own else self.silence)


@dataclass
class Answers:
    """What a worker answered; `failure` is None if it finished."""

    received: list[Answer] = field(default_factory=list)
    failure: Failure | None = None

    def rows(self) -> dict[Row, Answer]:
        """The answers that belong to a row."""
        return {row_of(answer["row"]): answer for answer in self.received if "row" in answer}


def say(text: str) -> None:
    """Print what the gate is doing to stderr; the report goes to stdout."""
    print(f"gate: {text}", file=sys.stderr, flush=True)


def row_of(pair: list[Any]) -> Row:
    """A row from its JSON form."""
    return Row(pair[0], tuple(pair[1]))


def ask(
    command: list[str],
    job: Mapping[str, Any],
    environment: Mapping[str, str],
    silence: float = 300.0,
    until: float = math.inf,
) -> Answers:
    """Run a worker and collect its answers; more than `silence` seconds without one is a timeout.

    At the time `until` it is ended without a failure, with the answers so far. No descendant of the child outlives this
    call, not even after Ctrl-C.
    """
    variable, mark = family.marked()
    child = subprocess.Popen(
        [*command, "-P", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, **variable},
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    readers = [
        threading.Thread(target=_forward, args=(child.stdout, lines), daemon=True),
        threading.Thread(target=last_lines.extend, args=(child.stderr,), daemon=True),
    ]
    try:
        for reader in readers:
            reader.start()
        _send(child.stdin, job)
        return _collect(child, lines, last_lines, readers, Patience(silence, until))
    finally:
        _end(child, mark)


def _send(stdin: IO[str], job: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError), stdin:  # if it died at once, its exit says why
        json.dump(job, stdin)


def _forward(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _collect(
    child: subprocess.Popen[str],
    lines: queue.SimpleQueue[str | None],
    last_lines: deque[str],
    readers: list[threading.Thread],
    patience: Patience,
) -> Answers:
    answers, started = Answers(), None
    heard = wall.now()
    while True:
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if child.poll() is not None:  # its own children may keep the pipe open
                break
            silent = wall.now() - heard
            if patience.is_over(silent, started):
                answers.failure = Failure("timeout", f"no answer for {silent:.0f} s", started)
            if answers.failure or stopping.is_set() or wall.now() > patience.until:
                return answers
            continue
        if line is None:
            break
        heard, answer = wall.now(), json.loads(line)
        started = row_of(answer["start"]) if "start" in answer else started
        answers.received.append(answer)
        if answer.get("done"):
            with contextlib.suppress(subprocess.TimeoutExpired):  # it may wait for its children forever
                child.wait(EXIT_SECONDS)
            return answers
    code = child.wait()
    readers[1].join(timeout=1)
    answers.failure = _failure(code, last_lines, started)
    return answers


def side_by_side(*jobs: Callable[[], Result]) -> list[Result]:
    """Run the jobs at the same time; an interruption ends the workers that they wait for."""
    with ThreadPoolExecutor(len(jobs)) as lanes:
        running = [lanes.submit(job) for job in jobs]
        try:
            return [one.result() for one in running]
        except BaseException:
            stopping.set()
            raise
        finally:
            lanes.shutdown()
            stopping.clear()


def _failure(code: int, last_lines: deque[str], row: Row | None) -> Failure:
    """A Python error by its last line, a killed process by its signal."""
    printed = [line.strip() for line in last_lines if line.strip() and not line.startswith("==")]  # Valgrind's lines
    if code < 0:
        return Failure("crashed", f"killed by {signal.Signals(-code).name}" + _after(printed), row)
    if code > 128 and code - 128 in {one.value for one in signal.Signals}:
        return Failure("crashed", f"killed by {signal.Signals(code - 128).name}" + _after(printed), row)
    return Failure("error" if printed else "crashed", printed[-1] if printed else f"ended with code {code}", row)


def _after(printed: list[str]) -> str:
    return f"; last line: {printed[-1]}" if printed else ""


def _end(child: subprocess.Popen[str], mark: bytes) -> None:
    """Kill the child first, so that it starts nothing more; the others are asked to end, since some clean up."""
    child.kill()
    child.wait()
    family.end(mark)


def side_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: ours with `variables`, without what could make it import another lossimpl."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PATH": overlay.search_path(kept), "PYTHONHASHSEED": "0", **variables}
