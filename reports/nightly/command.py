"""The night: bring the results of all machines, measure new commits, look for changes, send, rebuild the site.

A night ends with 1 if it found a regression that no earlier night reported; it names commit, row, ratio and confidence.
Every finding is measured again in pairs of both commits before it is reported, and one that is refuted fails no night.
What a night reported is kept in `results/<machine>/changes.jsonl`, so that a regression fails only one night; what it
planned and what became of it in `nightly.jsonl` beside it. It ends with 2 if it could not measure, bring or send
something. A night continues where the last one was interrupted, and a commit that cannot be measured does not affect
the commits after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reports.nightly.commits import Unmeasured, history
from reports.nightly.judge import FINE, REGRESSION
from reports.nightly.night import Run, Steps
from reports.nightly.pairs import measured_again
from reports.record import transfer
from reports.sweep.questions import Grid
from reports.sweep.store import pack

ROOT = Path(__file__).parents[2]
SELF_TEST = "gate-selftest.json"  # the first night of a machine also runs the gate's self-test, for under an hour
UNMEASURED = 2


def nightly(
    grid: Annotated[Grid, typer.Option(help="Which rows to measure.")] = "quick",
) -> None:
    """Bring results, measure new commits on this machine, look for changes, send, rebuild the site.

    Exit 1 on a new regression, 2 if something could not be measured, brought or sent.
    """
    from lossimpl import machine

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keeps the rows measured so far, as Ctrl-C does
    try:
        name = machine.name()
        run = Run(ROOT, name, steps(name, grid))
    except ValueError as failure:  # of LOSSIMPL_MACHINE or LOSSIMPL_RESULTS
        print(failure, file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    night = run.whole()
    print("\n".join(night.lines() if night else []))
    raise typer.Exit(REGRESSION if run.worse else FINE if run.health.outcome == "done" else UNMEASURED)


def steps(machine: str, grid: Grid) -> Steps:
    """What a night does on this machine; ValueError for a wrong `LOSSIMPL_RESULTS`."""
    there = transfer.remote(os.environ.get("LOSSIMPL_RESULTS", transfer.DEFAULT), ROOT)
    results = ROOT / "results"
    return Steps(
        pull=partial(transfer.pull, there, results),
        push=partial(transfer.push, there, results),
        rows=rows_per_commit(grid),
        measure=partial(sweep, machine=machine, grid=grid),
        check=partial(conforms, machine),
        again=partial(measured_again, ROOT, machine),
        publish=partial(publish, machine),
    )


def rows_per_commit(grid: Grid) -> int:
    """How many rows a commit has on this machine."""
    from lossimpl import LOSSES
    from reports.sweep import command, questions

    return len(questions.select(LOSSES, command.devices(), grid))


def publish(machine: str) -> None:
    """Run the gate's self-test if this machine has none, and build the site."""
    if not (ROOT / "results" / machine / SELF_TEST).exists():
        follow(["-m", "reports", "gate", "--self-test"])
    follow(["-m", "reports", "site"])


def sweep(commit: str, machine: str, grid: Grid) -> None:
    """Measure one commit through asv, as `reports sweep` measures HEAD."""
    from lossimpl import LOSSES
    from reports.sweep import command, questions
    from reports.sweep.engine import AsvFailed

    store = command.store_of(ROOT, commit, machine)
    rows = questions.select(LOSSES, command.devices(), grid)
    try:
        command.measure(rows, store, grid, Console())
    except AsvFailed as failure:
        raise Unmeasured(f"asv measured nothing at {commit}:\n{failure}") from failure


def conforms(machine: str) -> bool:
    """Whether the newest commit passes `lossimpl check`, whose records are kept beside its results."""
    from reports.sweep.command import store_of

    path = store_of(ROOT, history(ROOT)[-1], machine).side_car("conformance")
    try:
        return follow(["-m", "lossimpl.cli", "check", "--json", str(path)])
    finally:
        pack(path)


def follow(arguments: Sequence[str]) -> bool:
    """Run one of our commands in its own process, with its output shown; whether it exited with 0."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT).returncode == 0
