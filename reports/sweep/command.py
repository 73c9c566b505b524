"""The command: compile ahead, measure HEAD in rounds, save, print the summary, run the hard cases."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lossimpl.measure import wall
from lossimpl.ranking import FEWEST_ROUNDS
from lossimpl.row import from_record
from reports.record.rows import Row
from reports.sweep.questions import Grid
from reports.sweep.session import Effort, Session
from reports.sweep.store import Store, pack, packed_objects

ROOT = Path(__file__).parents[2]
ROUNDS = 5
EFFORTS: dict[Grid, Effort] = {
    "quick": Effort(rounds=ROUNDS, most=12, call_seconds=0.05, seconds=160),
    "table": Effort(rounds=ROUNDS, most=12, call_seconds=0.15, seconds=30 * 60),
    "full": Effort(rounds=ROUNDS, most=8, call_seconds=0.3, seconds=6 * 3600),
}
LOADER_SECONDS: dict[Grid, float] = {"quick": 0.2, "table": 0.5, "full": 2.0}  # for the samples of a loader's row


def sweep(
    grid: Annotated[Grid, typer.Option(help="A few rows in minutes, the table of results, or all in hours.")] = "quick",
    self_test: Annotated[bool, typer.Option("--self-test", help="Do the intervals hold? Repeat the session.")] = False,
    sessions: Annotated[int, typer.Option(help="Sessions of the self-test.", min=2)] = 3,
    pause: Annotated[float, typer.Option(help="Minutes between two sessions of the self-test.", min=0)] = 60,
    rounds: Annotated[int, typer.Option(help="Rounds of a session, as `lossimpl doctor` recommends.", min=1)] = ROUNDS,
) -> None:
    """Measure HEAD on this machine in rounds; a session that was interrupted is continued."""
    from lossimpl import LOSSES
    from reports.sweep import questions
    from reports.sweep.engine import AsvFailed

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keeps the rounds measured so far, as Ctrl-C does
    console = Console(width=max(100, Console().width))
    store = store_of(ROOT, head(console))
    rows = questions.select(LOSSES, devices(), grid)
    try:
        if self_test:
            repeated(rows, store, grid, rounds, sessions, 60 * pause, console)
            return
        records = measure(rows, store, grid, console, rounds)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except AsvFailed as failure:
        console.print(f"asv measured nothing. The end of its output:\n{failure}", markup=False)
        raise typer.Exit(1) from None
    from reports.sweep import summary

    summary.show(console, records)
    check(console, store.side_car("conformance"), full=grid != "quick")
    console.print(f"rows: {store.side_car('rows').relative_to(ROOT)}")


def store_of(root: Path, commit: str, machine: str = "") -> Store:
    """Where the results of a commit on this machine are kept under `root`; the machine is registered with asv."""
    from lossimpl.machine import name
    from reports.sweep.engine import environment_name, register

    machine = machine or name()
    register(machine)
    return Store(root, machine, commit, environment_name())


def measure(
    rows: Sequence[Row], store: Store, grid: Grid, console: Console, rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    """Measure the rows at the store's commit and save them; return their records.

    Ctrl-C saves the rounds that were measured, says what they support, and is raised again.
    """
    from lossimpl.spec import COMPILING
    from reports.sweep import progress, warm
    from reports.sweep.engine import Engine

    begun, clock = store.begin(grid), wall.now()
    plan = store.root / ".asv" / "round.json"
    effort = replace(EFFORTS[grid], rounds=rounds, most=max(EFFORTS[grid].most, rounds))
    session = Session(rows, store, effort, plan, begun.session)
    about = {"grid": grid, "commit": store.commit, "began_at": begun.at.isoformat(timespec="seconds")}
    records: list[dict[str, Any]] = []
    variables = warm.COMPILER | {
        "LOSSIMPL_ROWS": str(store.side_car("rounds")),
        "LOSSIMPL_ROUND": str(plan),
        "LOSSIMPL_SECONDS": str(LOADER_SECONDS[grid]),
    }
    console.print(
        f"{progress.planned(session)} at commit {store.commit[:8]} on {store.machine}; Ctrl-C keeps what is done"
    )
    try:
        with Engine(store.root, store.machine, store.commit, variables) as engine:
            try:
                warm.up([row for row in rows if row.implementation not in COMPILING], store.root, console)
                with progress.shown(session, console) as shown:
                    session.begin(engine, shown)
                warm.up(rows, store.root, console)
                with progress.shown(session, console) as shown:
                    session.run(engine, shown)
            finally:
                about |= progress.spent(session, begun.seconds + wall.now() - clock)
                records = store.save(rows, begun.session, about)
            engine.save({row: samples_of(record) for row, record in zip(rows, records, strict=True)})
    except KeyboardInterrupt:
        console.print(interrupted(records), highlight=False)
        raise
    store.finish()
    return records


def repeated(
    rows: Sequence[Row], store: Store, grid: Grid, rounds: int, sessions: int, pause: float, console: Console
) -> None:
    """Measure the session several times, and print and keep what that says about the machine's intervals."""
    from reports.sweep import selftest

    found = {}
    for number in range(sessions):
        if number:
            console.print(f"waiting {pause / 60:.0f} minutes before session {number + 1} of {sessions}")
            wall.sleep(pause)
        records = measure(rows, store, grid, console, rounds)
        found[str(records[0]["session"])] = [from_record(one) for one in records if "implementation" in one]
    record = selftest.record_of(store.machine, found)
    path = selftest.write(record, store.side_car("rows").parent)
    console.print_json(data=record)
    console.print(str(path.relative_to(ROOT)))


def samples_of(record: dict[str, Any]) -> tuple[list[float], int] | None:
    """What asv stores of a row: the seconds of its rounds, which are samples of one call each; None for a failure."""
    if record["status"] != "ok":
        return None
    if "samples_per_second" in record:
        return [1 / rate for rate in record["samples_per_second"] if rate > 0], 1
    return list(from_record(record).times.values()), 1


def interrupted(records: Sequence[dict[str, Any]]) -> str:
    """How many rows an interrupted session supports."""
    if not records:
        return "\ninterrupted before a round began; the next sweep continues from here"
    rounds = [len(from_record(record).quiet) for record in records if "implementation" in record]
    enough = sum(count >= FEWEST_ROUNDS for count in rounds)
    kept = f"{enough} of {len(rounds)} rows have the {FEWEST_ROUNDS} quiet rounds that an interval needs"
    return f"\ninterrupted: the rounds so far are kept; {kept}, and the next sweep continues from here"


def check(console: Console, path: Path, full: bool) -> None:
    """Run the hard cases of every implementation into the side-car, only in float32 unless `full`; print one line.

    What they give depends on the commit and the environment, which name the side-car, so they run once for both, unless
    plug-ins are installed, whose code may have changed. The side-car is packed when it is complete: what an interrupted
    run leaves is readable, and the next one replaces it.
    """
    from lossimpl.registry import GROUP

    log = ROOT / ".asv" / "check.log"
    if entry_points(group=GROUP) or not covered(packed_objects(path), full):
        arguments = ["-m", "lossimpl.cli", "check", "--json", str(path), *([] if full else ["--dtype", "float32"])]
        arguments += [f"--device={device}" for device in devices()]
        with console.status("running the hard cases"), log.open("w") as output:
            subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
        pack(path)
    console.print(f"{verdict(packed_objects(path))} ({log.relative_to(ROOT)})", highlight=False)


def covered(records: Sequence[dict[str, Any]], full: bool) -> bool:
    """Whether these are the results of the hard cases on all devices, of every dtype if `full`."""
    found = {device: {one["dtype"] for one in records if one["device"] == device} for device in devices()}
    return all(len(dtypes) > 1 if full else "float32" in dtypes for dtypes in found.values())


def verdict(records: Sequence[dict[str, Any]]) -> str:
    """The result of the hard cases in one line."""
    from lossimpl.spec import OURS

    ours = [one for one in records if one["implementation"] in OURS and one["status"] != "unavailable"]
    failed = [one for one in ours if one["status"] != "pass"]
    if not failed:
        return f"hard cases: all {len(ours)} of ours pass"
    first = failed[0]
    example = f"{first['loss']} {first['implementation']} {first['dtype']}: {first['case']}"
    return f"hard cases: {len(failed)} of {len(ours)} of ours fail, the first is {example}"


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
