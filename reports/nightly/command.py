"""`python -m reports nightly`: measure the new commits, look for changes in every history, rebuild the site.

A night ends with 1 if it found a regression that no earlier night reported, and names commit, row, ratio and
confidence. Every finding is measured again in pairs of both commits before it is told (`reports.nightly.pairs`); one
that vanishes there fails no night. What a night reported is kept in `results/<machine>/changes.jsonl`, so that a
regression fails one night and not every night after it. It ends with 2 if it could not measure. A night goes on where
the last one was stopped, and a commit that cannot be measured costs the commits after it nothing.
"""

from __future__ import annotations

import importlib
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from reports.gate import quality
from reports.nightly.memory import event_line, finding_lines, is_new, path_of, remember
from reports.nightly.pairs import measured_again
from reports.record import reader
from reports.statistics.changes import Event, Finding, events, findings, histories
from reports.statistics.nights import finding_line
from reports.sweep.questions import Grid
from reports.sweep.store import Store, pack

ROOT = Path(__file__).parents[2]
MOST_COMMITS = 8  # that one night measures; a longer gap is sampled evenly, its newest commit included
SELF_TEST = "gate-selftest.json"  # a machine's first night also measures the gate, for under an hour
DIGITS = 8  # of a commit in the names of result files
FINE, REGRESSION, UNMEASURED = 0, 1, 2

Measure = Callable[[str], None]


class Unmeasured(RuntimeError):
    """A step of the night failed; the message says which, with the end of what it printed."""


@dataclass(frozen=True)
class Worse:
    """Agreement, peak memory or saved bytes of a row became worse from one measured commit to the next."""

    machine: str
    row: str
    commit: str
    before: str
    text: str


@dataclass(frozen=True)
class Night:
    """What one night found that no night before it had reported."""

    findings: tuple[Finding, ...]
    events: tuple[Event, ...]
    worse: tuple[Worse, ...]

    @property
    def code(self) -> int:
        """1 if anything became slower or worse, else 0."""
        slower = any(one.stands and one.verdict == "slower" for one in self.findings)
        return REGRESSION if self.worse or slower else FINE

    def lines(self) -> list[str]:
        """What is printed, regressions first."""
        found = [
            f"{one.verdict if one.stands else 'vanished'}: {one.commit} (after {one.before}) {one.series.row} on "
            f"{one.series.machine}: {one.ratio:.2f} times as long, "
            f"confidence {math.floor(1e4 * one.confidence) / 100:.2f} %" + f"; {one.again}" * bool(one.again)
            for one in self.findings
        ]
        found += [
            f"worse: {one.commit} (after {one.before}) {one.row} on {one.machine}: {one.text}" for one in self.worse
        ]
        found += [f"event: {one.commit} on {one.machine}: environment {one.label}" for one in self.events]
        return found or ["no row changed"]


def nightly(
    grid: Annotated[Grid, typer.Option(help="Which rows of the grid.")] = "quick",
) -> None:
    """Measure new commits on this machine, look for changes, rebuild the site; exit 1 on a new regression."""
    from reports.sweep import machine

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop from outside keeps the rows, as Ctrl-C does
    name = machine.register()
    try:
        reader.remembered(path_of(ROOT, name))  # a memory that cannot be read is told before hours of measuring
        failures = sweep_each(new_commits(ROOT, measured(ROOT / "results" / name) - unfinished(ROOT, name)), name, grid)
        agreement_failed = not conforms(name)
        night = judge(ROOT, partial(measured_again, ROOT, name))
        if not (ROOT / "results" / name / SELF_TEST).exists():
            follow(["-m", "reports", "gate", "--self-test"])
        follow(["-m", "reports", "site"])
    except (Unmeasured, reader.Malformed) as failure:
        print(failure, file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    except KeyboardInterrupt:
        print("stopped: what was measured is kept, and the next night goes on from there", file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    print("\n".join([*night.lines(), *["worse: an implementation fails `lossimpl check`"] * agreement_failed]))
    raise typer.Exit(REGRESSION if agreement_failed else night.code or (UNMEASURED if failures else FINE))


def sweep_each(commits: Iterable[str], machine: str, grid: Grid) -> list[str]:
    """Measure commits one after the other; those that could not be measured, after saying why."""
    failures = []
    for commit in commits:
        print(f"measuring {commit}")
        try:
            sweep(commit, machine, grid)
        except Unmeasured as failure:
            print(failure, file=sys.stderr)
            failures.append(commit)
    return failures


def store_of(machine: str, commit: str) -> Store:
    """Where the results of a commit lie on this machine."""
    plugin = importlib.import_module("asv_plugins.shared_environment")  # asv ships no types to check it by
    return Store(ROOT, machine, commit, plugin.environment_name())


def conforms(machine: str) -> bool:
    """Whether the newest commit passes `lossimpl check`, whose rows are kept beside its results."""
    path = store_of(machine, history(ROOT)[-1]).conformance_path
    try:
        return follow(["-m", "lossimpl.cli", "check", "--json", str(path)])
    finally:
        pack(path)


def sweep(commit: str, machine: str, grid: Grid) -> None:
    """Measure one commit through asv, as `reports sweep` measures HEAD."""
    from lossimpl import LOSSES
    from reports.sweep import command, questions, watch

    store = store_of(machine, commit)
    selected = questions.select(LOSSES, command.devices(), grid)
    arguments = [*watch.command(questions.patterns(selected), machine)[:-1], f"{commit}^!"]
    since = store.begin()
    try:
        watch.run(arguments, selected, store, since, command.SECONDS[grid])
    except watch.AsvFailed as failure:
        raise Unmeasured(f"asv measured nothing at {commit}:\n{failure}") from failure
    store.add_missing(selected, since)
    store.finish()


def follow(arguments: Sequence[str]) -> bool:
    """Run a program of ours in its own process, its output shown; whether it was content."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT).returncode == 0


def history(root: Path) -> list[str]:
    """The first eight digits of every commit of the branch, oldest first."""
    done = subprocess.run(
        ["git", "rev-list", "--reverse", "--first-parent", "HEAD"], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        raise Unmeasured(f"git knows no history here: {done.stderr.strip()}")
    return [commit[:DIGITS] for commit in done.stdout.split()]


def measured(folder: Path) -> set[str]:
    """The commits that a machine's folder has results of."""
    return {path.name[:DIGITS] for path in folder.glob("*.json") if path.name[DIGITS : DIGITS + 1] == "-"}


def unfinished(root: Path, machine: str) -> set[str]:
    """The commits whose measuring was stopped: it goes on with the rows that are missing."""
    prefix = f"unfinished-{machine}-"
    return {path.name.removeprefix(prefix)[:DIGITS] for path in (root / ".asv").glob(f"{prefix}*")}


def new_commits(root: Path, known: set[str]) -> list[str]:
    """The commits after the last measured one, oldest first, at most `MOST_COMMITS`; only HEAD on a new machine."""
    order = history(root)
    last = max((index for index, commit in enumerate(order) if commit in known), default=len(order) - 2)
    return evenly(order[max(last, -1) + 1 :], MOST_COMMITS)


def evenly(commits: Sequence[str], most: int) -> list[str]:
    """At most so many of the commits, at even distances, the newest included.

    >>> evenly("abcdefghij", 4)
    ['a', 'd', 'g', 'j']
    """
    if len(commits) <= most:
        return list(commits)
    return [commits[round(index * (len(commits) - 1) / (most - 1))] for index in range(most)]


def judge(root: Path, again: Callable[[list[Finding]], list[Finding]] = list) -> Night:
    """Compare every history under `root/results` with what earlier nights reported, and remember what is new.

    `again` gives the new findings back, in their order, as measuring again settled them.
    """
    order = history(root)
    rows = reader.read(root / "results").rows
    series = histories(rows, order)
    seen = [one for one in findings(series) if is_new(root, finding_line(one), one.series.machine)]
    found = again(seen)
    told = [one for one in found if is_new(root, finding_line(one), one.series.machine)]
    begun = [one for one in events(series, order) if is_new(root, event_line(one), one.machine)]
    worse = [one for one in became_worse(rows, order) if is_new(root, vars(one), one.machine)]
    for machine in {one.machine for one in series}:
        lines = finding_lines(machine, seen, found)
        lines += [event_line(one) for one in begun if one.machine == machine]
        lines += [vars(one) for one in worse if one.machine == machine]
        remember(path_of(root, machine), lines)
    return Night(tuple(told), tuple(begun), tuple(worse))


def became_worse(rows: pd.DataFrame, order: Sequence[str]) -> list[Worse]:
    """What is worse than time, at the newest of each row's commits against the one before it."""
    place = {commit: index for index, commit in enumerate(order)}
    known = rows[rows["commit"].isin(place) & rows["status"].isin(["ok", "wrong"])]
    known = known.assign(place=known["commit"].map(place)).sort_values("place")
    found = []
    for _, group in known.groupby(["machine", "env", "benchmark", "params"], sort=True):
        if len(group) < 2:
            continue
        before, after = (_record(group.iloc[index]) for index in (-2, -1))
        name = f"{after['benchmark']}({', '.join(after['params'])})"
        found += [
            Worse(str(after["machine"]), name, str(after["commit"]), str(before["commit"]), change.text)
            for change in quality.changes(before, after)
            if change.worse
        ]
    return found


def _record(given: pd.Series[Any]) -> quality.Record:
    """A side-car record again, from a row of the frame; what was not measured is None."""
    row = {str(name): None if isinstance(value, float) and pd.isna(value) else value for name, value in given.items()}
    verdict = "wrong" if row["status"] == "wrong" else row.get("verdict")
    return {**row, "agreement": {**row, "verdict": verdict}}
