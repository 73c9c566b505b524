"""The night: measure the new commits, look for changes in every history, rebuild the site.

A night ends with 1 if it found a regression that no earlier night reported; it names commit, row, ratio and confidence.
Every finding is measured again in pairs of both commits before it is reported, and one that is refuted fails no night.
What a night reported is kept in `results/<machine>/changes.jsonl`, so that a regression fails only one night. It ends
with 2 if it could not measure. A night continues where the last one was interrupted, and a commit that cannot be
measured does not affect the commits after it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reports.nightly.commits import Unmeasured, history, measured, new_commits, unfinished
from reports.nightly.judge import FINE, REGRESSION, judge
from reports.nightly.memory import path_of
from reports.nightly.pairs import measured_again
from reports.record.reader import Malformed, nights_of
from reports.sweep.questions import Grid
from reports.sweep.store import pack

ROOT = Path(__file__).parents[2]
SELF_TEST = "gate-selftest.json"  # the first night of a machine also runs the gate's self-test, for under an hour
UNMEASURED = 2


def nightly(
    grid: Annotated[Grid, typer.Option(help="Which rows to measure.")] = "quick",
) -> None:
    """Measure new commits on this machine, look for changes, rebuild the site; exit 1 on a new regression."""
    from lossimpl import machine

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keeps the rows measured so far, as Ctrl-C does
    name = machine.name()
    try:
        nights_of(path_of(ROOT, name))  # reports a broken file before hours of measuring
        known = measured(ROOT / "results" / name) - unfinished(ROOT, name)
        failures = sweep_each(new_commits(ROOT, known), name, grid)
        agreement_failed = not conforms(name)
        night = judge(ROOT, partial(measured_again, ROOT, name))
        if not (ROOT / "results" / name / SELF_TEST).exists():
            follow(["-m", "reports", "gate", "--self-test"])
        follow(["-m", "reports", "site"])
    except (Unmeasured, Malformed) as failure:
        print(failure, file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    except KeyboardInterrupt:
        print("interrupted: what was measured is kept, and the next night continues from there", file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    print("\n".join([*night.lines(), *["worse: an implementation fails `lossimpl check`"] * agreement_failed]))
    raise typer.Exit(REGRESSION if agreement_failed else night.code or (UNMEASURED if failures else FINE))


def sweep_each(commits: Iterable[str], machine: str, grid: Grid) -> list[str]:
    """Measure one commit after the other; return those that could not be measured, whose reasons are printed."""
    failures = []
    for commit in commits:
        print(f"measuring {commit}")
        try:
            sweep(commit, machine, grid)
        except Unmeasured as failure:
            print(failure, file=sys.stderr)
            failures.append(commit)
    return failures


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
