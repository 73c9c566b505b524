"""The command: compile ahead, measure HEAD, close the side-car, print the summary, run the hard cases."""

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
from reports.sweep.store import Store, pack

ROOT = Path(__file__).parents[2]
SECONDS: dict[Grid, float] = {"quick": 0.2, "table": 0.5, "full": 2.0}  # per row for samples, the first seven apart


def sweep(
    grid: Annotated[Grid, typer.Option(help="A few rows in minutes, README's table, or all in hours.")] = "quick",
) -> None:
    """Measure HEAD on this machine through asv; a sweep that was interrupted is continued."""
    from lossimpl import LOSSES
    from reports.sweep import machine, questions, watch

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keeps the rows measured so far, as Ctrl-C does
    console = Console(width=max(100, Console().width))
    commit = head(console)
    store = store_of(ROOT, machine.register(), commit)
    selected = questions.select(LOSSES, devices(), grid)
    since = store.begin()
    console.print(f"{len(selected)} rows at commit {commit[:8]} on {store.machine}; Ctrl-C keeps what is measured")
    try:
        watch.warm_up(selected, ROOT)
        watch.measure(selected, store, since, SECONDS[grid])
    except KeyboardInterrupt:
        console.print(f"\ninterrupted: {len(store.rows(since))} rows are kept, and the next sweep continues from there")
        raise typer.Exit(130) from None
    except watch.AsvFailed as failure:
        console.print(f"asv measured nothing. The end of its output:\n{failure}", markup=False)
        raise typer.Exit(1) from None
    show(console, store, since)
    check(store.conformance_path, full=grid != "quick")


def store_of(root: Path, machine: str, commit: str) -> Store:
    """Where the results of a commit on this machine are kept under `root`."""
    plugin = importlib.import_module("asv_plugins.shared_environment")  # untyped, since asv ships no types
    return Store(root, machine, commit, plugin.environment_name())


def show(console: Console, store: Store, since: str) -> None:
    """Close the side-car, and print the summary of what was measured."""
    from reports.sweep import summary

    records = store.rows(since)
    store.finish()
    console.print(summary.loaders(records))
    for line in filter(None, (*summary.not_ranked(records), summary.disturbed(records))):
        console.print(line, markup=False, highlight=False)
    console.print(f"{len(records)} rows in {store.rows_path.relative_to(ROOT)}")


def check(path: Path, full: bool) -> None:
    """Run the hard cases of every implementation into the side-car; only in float32 unless `full`."""
    arguments = ["-m", "lossimpl.cli", "check", "--json", str(path), *([] if full else ["--dtype", "float32"])]
    arguments += [f"--device={device}" for device in devices()]
    try:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)  # its own table shows failures
    finally:
        pack(path)


def head(console: Console) -> str:
    """The commit that asv will measure, with a warning about uncommitted changes."""
    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--", "lossimpl")
    except (OSError, subprocess.CalledProcessError):
        console.print("asv measures commits: run this in a git checkout")
        raise typer.Exit(1) from None
    if changes:
        console.print(f"[yellow]uncommitted changes in lossimpl/ are not measured: asv measures {commit[:8]}[/yellow]")
    return commit


def git(*arguments: str) -> str:
    """The output of git."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def devices() -> list[str]:
    """The device types of this machine."""
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
