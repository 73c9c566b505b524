"""One night, step by step, with its record: bring results, measure what is new, judge, send, publish.

Whatever fails is noted and does not keep the later steps from running. What was measured is sent after each commit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reports.nightly.commits import DIGITS, Unmeasured, history, measured, new_commits, skipped, unfinished
from reports.nightly.health import Health, interrupted, now, rewritten
from reports.nightly.judge import Night, judge
from reports.nightly.memory import path_of
from reports.record.reader import Malformed, nights_of
from reports.record.stored import Stored
from reports.record.transfer import Undecided, Unsent
from reports.statistics.changes import Finding

ENDED = "the night ended before"


@dataclass(frozen=True)
class Steps:
    """What a night does, apart from deciding: `rows` is how many it measures per commit.

    `pull` and `push` move results; `measure` raises `Unmeasured` for a commit that cannot be; `check` says whether the
    newest commit passes the hard cases; `again` measures findings again; `publish` builds the site.
    """

    pull: Callable[[], object]
    push: Callable[[], object]
    rows: int
    measure: Callable[[str], object]
    check: Callable[[], bool]
    again: Callable[[list[Finding]], list[Finding]]
    publish: Callable[[], object]


@dataclass
class Run:
    """A night of a machine in the checkout at `root`."""

    root: Path
    machine: str
    steps: Steps
    health: Health = field(default_factory=Health)
    unmeasured: dict[str, str] = field(default_factory=dict)  # by commit, why
    worse: bool = False  # whether a row became slower or worse, or a hard case fails

    @property
    def folder(self) -> Path:
        """The machine's results."""
        return self.root / "results" / self.machine

    def whole(self) -> Night | None:
        """The night from its beginning to its end, with its record written even where it is interrupted."""
        night = None
        try:
            self._moved(self.steps.pull)
            nights_of(path_of(self.root, self.machine))  # reports a broken file before hours of measuring
            commits = self._planned()
            self._written()
            self._measured(commits)
            night = self._judged()
            self._concluded()  # before the page, which shows it
            self.steps.publish()
        except KeyboardInterrupt:
            self._failed(
                "interrupted", "interrupted: what was measured is kept, and the next night continues from there"
            )
        except Unmeasured as failure:
            self._failed("build-failed", str(failure))
        except (OSError, Malformed) as failure:
            self._failed("failed", str(failure))
        except Exception as failure:  # a bug must not look like a night without events
            self._failed("failed", f"{type(failure).__name__}: {failure}")
            raise
        finally:
            self._end()
        return night

    def _failed(self, outcome: str, problem: str) -> None:
        if problem.splitlines()[0] not in self.health.problems:
            print(problem, file=sys.stderr)
        self.health.ended(outcome, problem.splitlines()[0])

    def _moved(self, move: Callable[[], object]) -> None:
        """Bring or send results; a remote that is away is a problem of the night and no reason to stop it."""
        try:
            move()
        except Unsent as failure:
            self._failed("unreachable", str(failure))
        except Undecided as failure:
            self._failed("undecided", str(failure))

    def _written(self) -> None:
        self.health.write(self.folder)
        self._moved(self.steps.push)

    def _planned(self) -> list[str]:
        order, known = history(self.root), measured(self.folder)
        commits = new_commits(self.root, known - unfinished(self.root, self.machine) - interrupted(self.folder))
        self.health.head, self.health.commits = order[-1], commits
        left = skipped(order, known, commits)
        self.unmeasured |= dict.fromkeys(left, f"more than {len(commits)} new commits")
        self.health.expected = self.steps.rows * (len(commits) + len(left))
        self.health.events += rewritten(self.folder, known, order)
        return commits

    def _measured(self, commits: list[str]) -> None:
        self.unmeasured |= dict.fromkeys(commits, ENDED)
        for commit in commits:
            print(f"measuring {commit}")
            try:
                self.steps.measure(commit)
                del self.unmeasured[commit]
            except Unmeasured as failure:
                self._failed("build-failed", str(failure))
                self.unmeasured[commit] = "it could not be built"
            self._moved(self.steps.push)

    def _judged(self) -> Night:
        if not self.steps.check():
            self._failed("check-failed", "worse: an implementation fails `lossimpl check`")
            self.worse = True
        night = judge(self.root, self.machine, self.steps.again)
        self.health.findings = len(night.findings) + len(night.worse)
        self.health.events += [f"environment {one.label}" for one in night.events]
        if night.code:
            self.health.ended("regression")
            self.worse = True
        return night

    def _end(self) -> None:
        """Complete the record and send it, whatever happened before; a full disk is printed."""
        try:
            self._concluded()
        except OSError as failure:
            self._failed("failed", str(failure))

    def _concluded(self) -> None:
        """Complete the record with what the night did so far, and send it."""
        self.health.ended("done")
        self.health.ended_at = now()
        self.health.unfinished = [commit for commit, why in self.unmeasured.items() if why == ENDED]
        rows = Stored.of(self.root / "results").rows
        planned = rows["commit"].isin([one[:DIGITS] for one in self.health.commits])
        self.health.count(rows[planned & (rows["machine"] == self.machine)], self.unmeasured, self.steps.rows)
        self._written()
