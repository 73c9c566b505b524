"""Run asv for a sweep, and show what runs now, how much is done and how long it will take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reports.sweep import warm
from reports.sweep.questions import Question
from reports.sweep.store import Store, key_of

POLL_SECONDS = 0.25
GRACE_SECONDS = 10.0


class AsvFailed(RuntimeError):
    """asv measured nothing; the message is the end of what it printed."""


def bar() -> Progress:
    """The progress bar of a sweep."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )


def warm_up(questions: Sequence[Question], root: Path) -> None:
    """Compile and build what the questions need, with a progress bar. A failure is left for the row to tell."""
    wanted = [question for question in questions if warm.needs_warmth(question)]
    log = root / ".asv" / "warm.log"
    log.write_text("")
    processes = warm.start(wanted, root, log)
    try:
        with bar() as progress:
            task = progress.add_task("compiling", total=len(wanted))
            while any(process.poll() is None for process in processes):
                done = log.read_text().splitlines()
                progress.update(task, completed=len(done), description=f"compiled {done[-1]}" if done else "compiling")
                time.sleep(POLL_SECONDS)
            progress.update(task, completed=len(wanted), description="compiled")
    finally:
        warm.stop(processes)


def command(questions: Sequence[str], machine: str) -> list[str]:
    """The command line of asv that measures HEAD for the rows that these patterns find."""
    asv = [sys.executable, "-m", "asv", "run", "--machine", machine, "--record-samples", "--show-stderr", "--no-pull"]
    return asv + [argument for pattern in questions for argument in ("--bench", pattern)] + ["HEAD^!"]


def run(arguments: list[str], questions: Sequence[Question], store: Store, since: str, seconds: float) -> None:
    """Run asv. Ctrl-C ends it in order and is raised again.

    Raises AsvFailed where it measured nothing at all; where only some rows failed (its exit code 2) they tell why.
    """
    settings = {"LOSSIMPL_ROWS": str(store.rows_path), "LOSSIMPL_RESUME": since, "LOSSIMPL_SECONDS": str(seconds)}
    log = store.root / ".asv" / "sweep.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            arguments,
            cwd=store.root,
            env=os.environ | settings | warm.COMPILER,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end asv in order
        )
        try:
            follow(process, questions, store, since)
        finally:
            end(process)
    if process.returncode not in (0, 2):
        raise AsvFailed("\n".join(log.read_text().splitlines()[-30:]))


def follow(process: subprocess.Popen[bytes], questions: Sequence[Question], store: Store, since: str) -> None:
    """Show a bar until asv has ended: it reads the side-car, since asv itself prints a line for a whole benchmark."""
    place = {(question.benchmark, question.params): index for index, question in enumerate(questions)}
    with bar() as progress:
        task = progress.add_task("installing the commit", total=len(questions))
        while process.poll() is None:
            done = [place[key_of(row)] for row in store.rows(since) if key_of(row) in place]
            if done:
                following = max(done) + 1
                text = questions[following].text if following < len(questions) else "saving"
                progress.update(task, completed=len(set(done)), description=text)
            time.sleep(POLL_SECONDS)
        progress.update(task, completed=len(questions), description="measured")


def end(process: subprocess.Popen[bytes]) -> None:
    """End asv as Ctrl-C in its own terminal would, and whatever it started if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
