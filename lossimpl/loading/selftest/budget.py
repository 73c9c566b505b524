"""Does a search keep its budget? The command itself, timed from outside, interpreter and imports included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lossimpl.loading.search.store import Record
from lossimpl.loading.selftest.runs import Runs
from lossimpl.measure.wall import now

BUDGETS = (10.0, 60.0, 90.0)
ALLOWED = 0.15  # of the budget
COMMAND = "from lossimpl.cli import main; main()"


def budget(datasets: Sequence[str], runs: Runs, count: int = 20) -> Record:
    """So many runs over budgets and datasets in turn, each with the seconds that it took and its exit code."""
    found = []
    for number in range(count):
        dataset, seconds = datasets[number % len(datasets)], BUDGETS[number % len(BUDGETS)]
        question = {"budget": seconds, "dataset": dataset, "run": number}
        found.append(runs.do(question, partial(one_run, dataset, seconds), 1.2 * seconds))
    kept = sum(run["seconds"] <= (1 + ALLOWED) * run["budget"] for run in found)
    return {"runs": found, "kept": kept, "allowed": ALLOWED}


def one_run(dataset: str, seconds: float) -> Record:
    """One search in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="lossimpl-") as folder:
        output = str(Path(folder, "results.jsonl"))
        call = [sys.executable, "-c", COMMAND, "loaders", "--dataset", dataset, "--budget", str(seconds)]
        started = now()
        done = subprocess.run([*call, "--output", output], capture_output=True, check=False)
        return {"dataset": dataset, "budget": seconds, "seconds": now() - started, "exit": done.returncode}
