"""The command: warm up, measure HEAD, close the side-car, print the summary, run the hard cases."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reports.sweep.questions import Grid
from reports.sweep.store import pack

ROOT = Path(__file__).parents[2]
# what a row may take for its samples, the first seven apart
SECONDS: dict[Grid, float] = {"quick": 0.2, "table": 0.5, "full": 2.0}


def sweep(
    grid: Annotated[Grid, typer.Option(help="A few rows in minutes, README's table, or all, for hours.")] = "quick",
) -> None:
    """Measure HEAD on this machine through asv; rows that an interrupted sweep measured are kept."""
    from lossimpl import LOSSES
    from reports.sweep import machine, questions, summary, watch
    from reports.sweep.store import Store

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop from outside keeps the rows, as Ctrl-C does
    plugin = importlib.import_module("asv_plugins.shared_environment")  # asv ships no types to check it by
    console = Console(width=max(100, Console().width))
    commit = head(console)
    store = Store(ROOT, machine.register(), commit, plugin.environment_name())
    selected = questions.select(LOSSES, devices(), grid)
    since = store.begin()
    console.print(f"{len(selected)} rows at commit {commit[:8]} on {store.machine}; Ctrl-C keeps what is measured")
    arguments = watch.command(questions.patterns(selected), store.machine)
    try:
        watch.warm_up(selected, ROOT)
        watch.run(arguments, selected, store, since, SECONDS[grid])
    except KeyboardInterrupt:
        console.print(f"\nstopped: {len(store.rows(since))} rows are kept, and the next sweep goes on from there")
        raise typer.Exit(130) from None
    except watch.AsvFailed as failure:
        console.print(f"asv measured nothing. The end of what it printed:\n{failure}", markup=False)
        raise typer.Exit(1) from None
    store.add_missing(selected, since)
    rows = store.rows(since)
    store.finish()
    console.print(summary.loaders(rows))
    for line in filter(None, (*summary.not_ranked(rows), summary.disturbed(rows))):
        console.print(line, markup=False, highlight=False)
    console.print(f"{len(rows)} rows in {store.rows_path.relative_to(ROOT)}")
    check(store.conformance_path, full=grid != "quick")


def check(path: Path, full: bool) -> None:
    """The hard cases of every implementation, into the side-car; float32 alone unless everything is asked for."""
    arguments = ["-m", "lossimpl.cli", "check", "--json", str(path), *([] if full else ["--dtype", "float32"])]
    arguments += [f"--device={device}" for device in devices()]
    try:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)  # its own table says what failed
    finally:
        pack(path)


def head(console: Console) -> str:
    """The commit that asv will measure, with a warning about changes that it will not see."""
    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--", "lossimpl")
    except (OSError, subprocess.CalledProcessError):
        console.print("asv measures commits: this must run in a checkout made by git")
        raise typer.Exit(1) from None
    if changes:
        console.print(f"[yellow]uncommitted changes in lossimpl/ are not measured: asv measures {commit[:8]}[/yellow]")
    return commit


def git(*arguments: str) -> str:
    """What git answers."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def devices() -> list[str]:
    """The device types of this machine: rows for others would only say that they are not there."""
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
