"""A worker as a child process: its answers as they come, its end whatever happens, its last words kept."""

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
from reports.gate.rows import Row

WORKER = Path(__file__).with_name("worker")
LAST_WORDS = 40  # lines of stderr that are kept
POLL_SECONDS = 0.2
EXIT_SECONDS = 5.0  # for a worker that has said everything
OWN_SILENCE = 90.0  # seconds for a row that starts processes itself; a loader that hangs is given up there after 60
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
    """How many seconds of silence are a failure, and when to stop listening in any case."""

    silence: float
    until: float

    def is_over(self, silent: float, started: Row | None) -> bool:
        """Whether a row hangs; when the time is up, it is enough to be silent for as long as a loader may be."""
        own = started is not None and (started.measures_itself or wall.now() > self.until)
        return silent > (min(self.silence, OWN_SILENCE) if own else self.silence)


@dataclass
class Answers:
    """What a worker said, and how it ended: `failure` is None if it came to its end."""

    said: list[Answer] = field(default_factory=list)
    failure: Failure | None = None

    def rows(self) -> dict[Row, Answer]:
        """The answers that belong to a row."""
        return {row_of(answer["row"]): answer for answer in self.said if "row" in answer}


def say(text: str) -> None:
    """Tell the terminal what the gate is doing; the report goes to stdout."""
    print(f"gate: {text}", file=sys.stderr, flush=True)


def row_of(pair: list[Any]) -> Row:
    """A row from the form that it has in JSON."""
    return Row(pair[0], tuple(pair[1]))


def ask(
    command: list[str],
    job: Mapping[str, Any],
    environment: Mapping[str, str],
    silence: float = 300.0,
    until: float = math.inf,
) -> Answers:
    """Run a worker and collect what it says; more than `silence` seconds without a word is a timeout.

    At the time `until` it is ended without a failure: what it said by then is what there is. Nothing that descends from
    the child outlives this call, Ctrl-C included.
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
    last_words: deque[str] = deque(maxlen=LAST_WORDS)
    readers = [
        threading.Thread(target=_forward, args=(child.stdout, lines), daemon=True),
        threading.Thread(target=last_words.extend, args=(child.stderr,), daemon=True),
    ]
    try:
        for reader in readers:
            reader.start()
        _send(child.stdin, job)
        return _collect(child, lines, last_words, readers, Patience(silence, until))
    finally:
        _end(child, mark)


def _send(stdin: IO[str], job: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError), stdin:  # one that died at once says why by how it ended
        json.dump(job, stdin)


def _forward(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _collect(
    child: subprocess.Popen[str],
    lines: queue.SimpleQueue[str | None],
    last_words: deque[str],
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
                answers.failure = Failure("timeout", f"nothing heard for {silent:.0f} s", started)
            if answers.failure or stopping.is_set() or wall.now() > patience.until:
                return answers
            continue
        if line is None:
            break
        heard, answer = wall.now(), json.loads(line)
        started = row_of(answer["start"]) if "start" in answer else started
        answers.said.append(answer)
        if answer.get("done"):
            with contextlib.suppress(subprocess.TimeoutExpired):  # it may wait for its children for ever
                child.wait(EXIT_SECONDS)
            return answers
    code = child.wait()
    readers[1].join(timeout=1)
    answers.failure = _failure(code, last_words, started)
    return answers


def side_by_side(*jobs: Callable[[], Result]) -> list[Result]:
    """Do the jobs at the same time; an interruption ends the workers that they wait for."""
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


def _failure(code: int, last_words: deque[str], row: Row | None) -> Failure:
    """A Python error is told by its last line, a killed process by its signal."""
    said = [line.strip() for line in last_words if line.strip() and not line.startswith("==")]  # those are Valgrind's
    if code < 0:
        return Failure("crashed", f"killed by {signal.Signals(-code).name}" + _after(said), row)
    if code > 128 and code - 128 in {one.value for one in signal.Signals}:
        return Failure("crashed", f"killed by {signal.Signals(code - 128).name}" + _after(said), row)
    return Failure("error" if said else "crashed", said[-1] if said else f"ended with code {code}", row)


def _after(said: list[str]) -> str:
    return f"; last words: {said[-1]}" if said else ""


def _end(child: subprocess.Popen[str], mark: bytes) -> None:
    """The child first, so that it starts no more; the others are asked, since some clean up, and then killed."""
    child.kill()
    child.wait()
    family.end(mark)


def side_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: ours, without what could lead it to another lossimpl, and with `variables`.

    Programs beside the running interpreter (ninja) stay in reach.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONHASHSEED": "0", **variables}
