"""Run asv for a sweep, and show the current row, the progress and the time left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reports.record.rows import Row
from reports.sweep import warm
from reports.sweep.questions import patterns
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


def warm_up(rows: Sequence[Row], root: Path) -> None:
    """Compile and build for the rows, with a progress bar. A failure is reported by its row, later."""
    wanted = [row for row in rows if warm.compiles(row)]
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


def measure(rows: Sequence[Row], store: Store, since: str, seconds: float) -> None:
    """Measure the rows at the store's commit, with `seconds` per row for samples; `run` says what it raises."""
    run(command(patterns(rows), store.machine, store.commit), rows, store, since, seconds)
    store.add_missing(rows, since)


def command(wanted: Sequence[str], machine: str, commit: str) -> list[str]:
    """asv's command line that measures the rows that match these patterns, at one commit."""
    asv = [sys.executable, "-m", "asv", "run", "--machine", machine, "--record-samples", "--show-stderr", "--no-pull"]
    return asv + [argument for pattern in wanted for argument in ("--bench", pattern)] + [f"{commit}^!"]


def run(arguments: list[str], rows: Sequence[Row], store: Store, since: str, seconds: float) -> None:
    """Run asv. Ctrl-C ends it properly and is raised again.

    Raises AsvFailed if it measured nothing at all; if only some rows failed (its exit code 2), they have the reason.
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
            start_new_session=True,  # Ctrl-C reaches only this process, which ends asv properly
        )
        try:
            follow(process, rows, store, since)
        finally:
            end(process)
    if process.returncode not in (0, 2):
        raise AsvFailed("\n".join(log.read_text().splitlines()[-30:]))


def follow(process: subprocess.Popen[bytes], rows: Sequence[Row], store: Store, since: str) -> None:
    """Show a bar until asv has ended, from the side-car, since asv itself prints one line per benchmark."""
    place = {str(row): index for index, row in enumerate(rows)}
    with bar() as progress:
        task = progress.add_task("installing the commit", total=len(rows))
        while process.poll() is None:
            done = [place[key] for record in store.rows(since) if (key := key_of(record)) in place]
            if done:
                following = max(done) + 1
                text = rows[following].words if following < len(rows) else "saving"
                progress.update(task, completed=len(set(done)), description=text)
            time.sleep(POLL_SECONDS)
        progress.update(task, completed=len(rows), description="measured")


def end(process: subprocess.Popen[bytes]) -> None:
    """End asv as Ctrl-C would, or kill it with everything that it started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
