"""The nightly's findings measured again in pairs of fresh processes: its commits are built as the gate builds them."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lossimpl.measure import wall
from reports.gate.design import Design, Verdict
from reports.gate.rows import Row
from reports.gate.session import Session
from reports.gate.sides import Side, Unmeasurable, build, commit_of
from reports.nightly.settle import settle
from reports.statistics.changes import Finding

SECONDS = 1800.0  # of a night, for all its findings
COMPARISON = 600.0  # seconds of one comparison: some hundred pairs
SILENCE = 300.0  # seconds that a benchmark process may say nothing


def measured_again(root: Path, machine: str, found: Sequence[Finding]) -> list[Finding]:
    """The findings, in their order, settled where they are of this machine; largest slowdowns first in its time."""
    here = [one for one in found if one.series.machine == machine]
    with tempfile.TemporaryDirectory(prefix="nightly-", ignore_cleanup_errors=True) as folder:
        settled = iter(settle(here, Commits(root, Path(folder)).compare))
    return [next(settled) if one.series.machine == machine else one for one in found]


class Commits:
    """Commits of a repository, each built once under `folder`, compared until the time of the night is up."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.built: dict[str, Side] = {}
        self.deadline = wall.now() + SECONDS

    def compare(self, before: str, after: str, found: Sequence[Finding], effect: float) -> list[Verdict]:
        """What pairs say of the findings' rows; whatever goes wrong is `Unmeasurable`, and the findings stand."""
        if wall.now() > self.deadline:
            raise Unmeasurable(f"the {SECONDS:.0f} s that a night has for it are over")
        try:
            return self._verdicts(before, after, [_row(one) for one in found], effect)
        except Unmeasurable:
            raise
        except Exception as error:  # a night must tell what its histories show, whatever breaks behind them
            raise Unmeasurable(f"{type(error).__name__}: {error}") from error

    def _verdicts(self, before: str, after: str, rows: list[Row], effect: float) -> list[Verdict]:
        """Pairs of both commits, both asked by the benchmarks of the later one."""
        base, head = self._side(before), self._side(after)
        session = Session(replace(base, suite=head.suite), head, SILENCE, seed=len(self.built))
        design = Design(rows, effect)
        session.measure(design, min(self.deadline, wall.now() + COMPARISON))
        if session.faults and not any(one.base for one in session.pairs.values()):
            raise Unmeasurable(session.faults[0].text)
        return [design.verdict(row) for row in rows]

    def _side(self, commit: str) -> Side:
        if commit not in self.built:
            self.built[commit] = build(self.root, commit, commit_of(self.root, commit), self.folder)
        return self.built[commit]


def _row(one: Finding) -> Row:
    """The row as the suite knows it: asv writes its parameters as Python would."""
    return Row(one.series.benchmark, ast.literal_eval(f"({one.series.params},)"))
