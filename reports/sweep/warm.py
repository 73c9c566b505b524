"""Compile and build before measuring, in as many processes as there are cores, unless an earlier session did.

torch.compile takes seconds per graph, and the native kernels are built on first use; both cache their output on disk,
so that rows only load it. Each row is run completely up to its clock, agreement included, since agreement is checked on
a shape of its own that needs its own graph.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lossimpl.measure import wall
from lossimpl.spec import COMPILING
from reports.record.rows import Row
from reports.sweep.questions import TINY

POLL_SECONDS = 0.25
# Part of the key of torch's cache, so it has to be the same here and under asv.
COMPILER = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}


def up(rows: Sequence[Row], root: Path, console: Console) -> None:
    """Compile and build for the rows, with a progress bar. A failure is reported by its row, later."""
    done = compiled_file(root)
    known = set(done.read_text().splitlines()) if done.exists() else set()
    wanted = [row for row in to_compile(rows) if row.words not in known]
    log = root / ".asv" / "warm.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    processes = start(wanted, root, log)
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), console=console
        ) as bar:
            task = bar.add_task("compiling", total=len(wanted))
            while any(process.poll() is None for process in processes):
                lines = log.read_text().splitlines()
                bar.update(task, completed=len(lines), description=f"compiled {lines[-1]}" if lines else "compiling")
                wall.sleep(POLL_SECONDS)
            bar.update(task, completed=len(wanted), description="compiled")
    finally:
        stop(processes)
        with done.open("a") as file:
            file.write(log.read_text())


def compiled_file(root: Path) -> Path:
    """The list of the rows that were compiled for the present sources and torch, in the folder of torch's own cache.

    Whoever empties that folder removes the list with it.
    """
    import torch
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    found = hashlib.sha256(torch.__version__.encode())
    for path in sorted((root / "lossimpl").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            found.update(path.read_bytes())
    return Path(cache_dir()) / f"lossimpl-{found.hexdigest()[:16]}.txt"


def to_compile(rows: Iterable[Row]) -> list[Row]:
    """The rows before which a compiler has to run: one per graph, and one per loss for its native kernels."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        if row.implementation in COMPILING:
            kind = "forward" if row.params[-1] == "forward" else "step"  # all other modes run the same code
            found.setdefault((row.stem, *row.params[:-1], kind), row)
        elif row.params[:2] == ("native", TINY):
            found.setdefault((row.stem, "native"), row)
    return list(found.values())


def shares(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """The rows divided among at most `count` processes; all rows of a benchmark stay together."""
    stems = sorted({row.stem for row in rows})
    parts = [stems[index::count] for index in range(min(count, len(stems)))]
    return [[row for row in rows if row.stem in part] for part in parts]


def start(rows: Sequence[Row], root: Path, log: Path) -> list[subprocess.Popen[str]]:
    """One process per core, each of which appends a line to `log` for each row that it has compiled."""
    found = []
    for share in shares(rows, os.cpu_count() or 1):
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "reports.sweep.warm"],
                cwd=root,
                env=os.environ | COMPILER,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C reaches only this process
            )
        assert process.stdin is not None
        process.stdin.write("".join(row.words + "\n" for row in share))
        process.stdin.close()
        found.append(process)
    return found


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End the processes and the compilers that they started."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def warm(loss: str, implementation: str, *params: str) -> None:
    """Do what the first round does before its clock starts. Errors are reported by the rows themselves, later."""
    from benchmarks.calls import case_of
    from lossimpl import rounds

    rounds.warm(case_of(loss, *params), implementation)


if __name__ == "__main__":
    for line in sys.stdin:
        warm(*line.split())
        print(line, end="", flush=True)
