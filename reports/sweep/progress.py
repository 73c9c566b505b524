"""What a session shows while it runs: the case, what it costs, the time budget, and the first results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lossimpl import wording
from lossimpl.row import Row
from reports.sweep.session import Case, Session


def planned(session: Session) -> str:
    """What the session measures, in words."""
    effort, count = session.effort, sum(len(case.rows) for case in session.cases)
    loaders = f" and {len(session.loaders)} loader settings" if session.loaders else ""
    return f"{count} rows of {len(session.cases)} cases in {effort.rounds} rounds{loaders}"


@contextmanager
def shown(session: Session, console: Console) -> Iterator[Callable[[Case], None]]:
    """A bar over the rounds that the grid asks for; yields what is to be called after each round of a case."""
    total = session.effort.rounds * len(session.cases)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed} of {task.total} rounds,"),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )
    with progress:
        task = progress.add_task("measuring", total=total, completed=sum(case.number for case in session.cases))

        def report(case: Case) -> None:
            done = sum(each.number for each in session.cases)
            words = f"{case.words}: {wording.seconds(case.seconds)}"
            progress.update(task, completed=done, total=max(total, done), description=words)
            if case.number == 1:
                progress.console.print(first_line(case), highlight=False)

        yield report


def first_line(case: Case) -> str:
    """The result of the first round of a case, fastest first."""
    timed = [one for one in case.results() if one.rounds]
    times = sorted((one.rounds[0].seconds, one.implementation) for one in timed)
    return f"{case.words}: " + ", ".join(f"{name} {wording.seconds(time)}" for time, name in times)


def spent(session: Session, seconds: float) -> dict[str, Any]:
    """How long the session took so far, and how much of that was inside timed calls."""
    rows = [one for case in session.cases for found in case.found.values() for one in found]
    return {
        "seconds": round(seconds, 1),
        "timed_seconds": round(sum(map(timed_seconds, rows)), 1),
        "rounds": sum(case.number for case in session.cases),
    }


def timed_seconds(row: Row) -> float:
    """The seconds that one round spent in calls of the implementation after the first: warm-up and samples."""
    return sum(one.warmup_seconds + sum(one.samples) * one.calls for one in row.rounds)
