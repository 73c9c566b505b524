"""Findings measured again in pairs of fresh processes; the commits are built as the gate builds them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lossimpl.building import Unmeasurable, commit_of
from lossimpl.measure import wall
from reports.gate.design import Design, Verdict
from reports.gate.session import Session
from reports.gate.sides import Side, build
from reports.nightly.settle import settle
from reports.record.rows import Row
from reports.statistics.changes import Finding

SECONDS = 1800.0  # per night, for all findings
COMPARISON = 600.0  # seconds per comparison: about a hundred pairs
SILENCE = 300.0  # seconds that a benchmark process may take to answer


def measured_again(root: Path, machine: str, found: Sequence[Finding]) -> list[Finding]:
    """The findings, in their order; those of this machine are settled, the largest slowdowns first."""
    here = [one for one in found if one.series.machine == machine]
    with tempfile.TemporaryDirectory(prefix="nightly-", ignore_cleanup_errors=True) as folder:
        settled = iter(settle(here, Commits(root, Path(folder)).compare))
    return [next(settled) if one.series.machine == machine else one for one in found]


class Commits:
    """Commits of a repository, each built once under `folder`, and compared until the night's time is up."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.built: dict[str, Side] = {}
        self.deadline = wall.now() + SECONDS

    def compare(self, before: str, after: str, found: Sequence[Finding], effect: float) -> list[Verdict]:
        """The verdicts of pairs on the findings' rows; any failure is `Unmeasurable`, and the findings stand."""
        if wall.now() > self.deadline:
            raise Unmeasurable(f"the night's {SECONDS:.0f} s for this are used up")
        try:
            return self._verdicts(before, after, [Row.of(vars(one.series)) for one in found], effect)
        except Unmeasurable:
            raise
        except Exception as error:  # a night reports what its histories show, whatever fails here
            raise Unmeasurable(f"{type(error).__name__}: {error}") from error

    def _verdicts(self, before: str, after: str, rows: list[Row], effect: float) -> list[Verdict]:
        """Measure pairs of both commits, both with the benchmarks of the later one."""
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
