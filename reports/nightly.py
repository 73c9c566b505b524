"""`python -m reports nightly`: measure the new commits, look for changes in every history, rebuild the site.

A night ends with 1 if it found a regression that no earlier night reported, and names commit, row, ratio and
confidence. What a night reported is kept in `results/<machine>/changes.jsonl`, so that a regression fails one night and
not every night after it. It ends with 2 if it could not measure.
"""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from reports import asv_results
from reports.changes import Event, Finding, events, findings, histories
from reports.gate import quality
from reports.sweep.questions import Grid
from reports.sweep.store import Store

ROOT = Path(__file__).parents[1]
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
        return REGRESSION if self.worse or any(one.verdict == "slower" for one in self.findings) else FINE

    def lines(self) -> list[str]:
        """What is printed, regressions first."""
        found = [
            f"{one.verdict}: {one.commit} (after {one.before}) {one.series.row} on {one.series.machine}: "
            f"{one.ratio:.2f} times as long, confidence {math.floor(1e4 * one.confidence) / 100:.2f} %"
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

    name = machine.register()
    try:
        for commit in new_commits(ROOT, measured(ROOT / "results" / name)):
            print(f"measuring {commit}")
            sweep(commit, name, grid)
        agreement_failed = not follow(["-m", "lossimpl.cli", "check", "--json", str(conformance(name))])
        night = judge(ROOT)
        if not (ROOT / "results" / name / SELF_TEST).exists():
            follow(["-m", "reports", "gate", "--self-test"])
        follow(["-m", "reports", "site"])
    except Unmeasured as failure:
        print(failure, file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    except KeyboardInterrupt:
        print("stopped: what was measured is kept, and the next night goes on from there", file=sys.stderr)
        raise typer.Exit(UNMEASURED) from None
    print("\n".join([*night.lines(), *["worse: an implementation fails `lossimpl check`"] * agreement_failed]))
    raise typer.Exit(REGRESSION if agreement_failed else night.code)


def store_of(machine: str, commit: str) -> Store:
    """Where the results of a commit lie on this machine."""
    plugin = importlib.import_module("asv_plugins.shared_environment")  # asv ships no types to check it by
    return Store(ROOT, machine, commit, plugin.environment_name())


def conformance(machine: str) -> Path:
    """The side-car for the conformance of the newest commit."""
    return store_of(machine, history(ROOT)[-1]).conformance_path


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


def judge(root: Path) -> Night:
    """Compare every history under `root/results` with what earlier nights reported, and remember what is new."""
    order = history(root)
    rows = asv_results.read(root / "results").rows
    series = histories(rows, order)
    found = [one for one in findings(series) if _is_new(root, _finding_line(one), one.series.machine)]
    begun = [one for one in events(series, order) if _is_new(root, _event_line(one), one.machine)]
    worse = [one for one in became_worse(rows, order) if _is_new(root, vars(one), one.machine)]
    for machine in {one.machine for one in series}:
        lines = [_finding_line(one) for one in found if one.series.machine == machine]
        lines += [_event_line(one) for one in begun if one.machine == machine]
        lines += [vars(one) for one in worse if one.machine == machine]
        _remember(_memory(root, machine), lines)
    return Night(tuple(found), tuple(begun), tuple(worse))


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


def _finding_line(one: Finding) -> dict[str, Any]:
    return {
        "row": one.series.row,
        "environment": one.series.environment,
        "commit": one.commit,
        "before": one.before,
        "ratio": round(one.ratio, 4),
        "confidence": round(one.confidence, 6),
    }


def _event_line(one: Event) -> dict[str, Any]:
    return {"commit": one.commit, "event": one.label}


def _memory(root: Path, machine: str) -> Path:
    return root / "results" / machine / "changes.jsonl"


def _is_new(root: Path, line: dict[str, Any], machine: str) -> bool:
    """Whether no earlier night wrote this line; figures may differ by what was measured since, the place may not."""
    return _place(line) not in {_place(known) for known in _remembered(_memory(root, machine))}


def _place(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(name) for name in ("row", "environment", "event", "commit", "text"))


def _remembered(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _remember(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if text:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
