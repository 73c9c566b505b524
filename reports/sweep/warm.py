"""Compile and build ahead, in as many processes as there are cores.

torch.compile takes seconds for each graph, and the native kernels are built on first use; both keep what they made on
disk. Done ahead, a row only loads it, and no core lies idle while one compiler runs. Each question is asked once in
full, agreement and all, since agreement is looked at on a shape of its own that wants its own graph.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lossimpl.spec import COMPILING
from reports.sweep.questions import TINY, Question

COMPILER = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # enters the key of torch's cache: the same here and under asv


def needs_warmth(question: Question) -> bool:
    """Whether a compiler runs before this row can be measured: a graph for each shape, a kernel for all of them."""
    if question.stem == "loading":
        return False
    if question.values[-1] in ("reuse", "graph"):
        return False  # compiled for the step
    return question.values[0] in COMPILING or question.values[:2] == ("native", TINY)


def shares(questions: Sequence[Question], count: int) -> list[list[Question]]:
    """The questions, dealt out to at most `count` processes; what has one benchmark stays together."""
    stems = sorted({question.stem for question in questions})
    dealt = [stems[index::count] for index in range(min(count, len(stems)))]
    return [[question for question in questions if question.stem in hand] for hand in dealt]


def start(questions: Sequence[Question], root: Path, log: Path) -> list[subprocess.Popen[str]]:
    """One process per core, each of which appends a line to `log` for each question that it has warmed."""
    found = []
    for share in shares(questions, os.cpu_count() or 1):
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "reports.sweep.warm"],
                cwd=root,
                env=os.environ | COMPILER,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C reaches us alone
            )
        assert process.stdin is not None
        process.stdin.write("".join(question.text + "\n" for question in share))
        process.stdin.close()
        found.append(process)
    return found


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End the processes, and the compilers that they have started."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def warm(loss: str, implementation: str, *params: str) -> None:
    """Do what the row will do, up to its clock. What goes wrong is told by the row, later."""
    from benchmarks.calls import case_of
    from lossimpl import row

    with contextlib.suppress(Exception):
        row.warm(case_of(loss, *params), implementation)


if __name__ == "__main__":
    for line in sys.stdin:
        warm(*line.split())
        print(line, end="", flush=True)
