"""A stored row measured again: the same rounds of the same implementations, for `judgement` to compare.

The number of rounds is fixed beforehand, and the answer is looked for once: whoever measures until a test decides gets
wrong answers more often than it promises. Rounds are spread over minutes, as a session's are, since a shared machine is
in one state for some seconds and then in another.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lossimpl import registry
from lossimpl.exactness import Finding, findings
from lossimpl.forks import Outcome, Task
from lossimpl.judgement import (
    INCONCLUSIVE,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    REPRODUCED,
    Judgement,
    changed_status,
    judged,
)
from lossimpl.measure import wall
from lossimpl.replayable import Stored, obstacle
from lossimpl.rounds import RULE
from lossimpl.row import Row, combined
from lossimpl.terminal import console

ROUNDS = 20  # quiet ones of every row
TURN = 6.0  # seconds that a round of all rows takes at least
PATIENCE = 60.0  # seconds for one implementation in one round


class Runner(Protocol):
    """Runs a round in a process of its own."""

    def run(self, task: Task, seconds: float) -> Outcome:
        """The rows, or why there are none."""


@dataclass
class Replay:
    """A stored row that is measured again: the rounds `found` of its case, and what ended it or was found exactly."""

    stored: Stored
    found: dict[str, list[Row]] = field(default_factory=dict)
    exact: tuple[Finding, ...] = ()
    ended: Judgement | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The implementations of a round."""
        return tuple(row.implementation for row in (self.stored.row, *self.stored.beside))

    def begin(self, runner: Runner) -> None:
        """Check the row once; ended where its status, or what prevents a comparison, is the answer."""
        row = self.stored.row
        if reason := obstacle(row):
            self.ended = Judgement(NOT_COMPARABLE, (reason,))
            return
        outcome = self._checked(runner)
        if not outcome.rows:
            self.ended = Judgement(NOT_COMPARABLE, (f"it could not be measured: {outcome.reason}",))
            return
        now = outcome.rows[0]
        if now.status == "unavailable" and row.status == "ok" and not self.stored.same_machine:
            self.ended = Judgement(NOT_COMPARABLE, (f"it cannot be measured here: {now.reason}",))
        elif changed := changed_status(row, now):
            self.ended = Judgement(NOT_REPRODUCED, (changed,))
        elif row.status != "ok":
            self.ended = Judgement(REPRODUCED, (f"status: {row.status}, as stored",))
        else:
            self.exact = tuple(findings(row, now, lambda: next(iter(self._checked(runner).rows), None)))

    def _checked(self, runner: Runner) -> Outcome:
        return runner.run(Task(self.stored.case, self.names[:1], 0, RULE), PATIENCE)

    def open(self, rounds: int) -> bool:
        """Whether the row lacks quiet rounds."""
        return not self.ended and sum(bool(row.quiet) for row in self.found.get(self.names[0], ())) < rounds

    def judgement(self) -> Judgement:
        """The verdict on all rounds, and on what must be the same exactly if this machine measured the row."""
        if self.ended:
            return self.ended
        timed = judged(self.stored, {name: combined(rows) for name, rows in self.found.items()})
        lines = (*(one.line for one in self.exact), *timed.lines)
        if not any(one.same is False for one in self.exact):
            return Judgement(timed.verdict, lines)
        if self.stored.same_machine:
            return Judgement(NOT_REPRODUCED, lines)
        return Judgement(timed.verdict, (*lines, "results and memory may differ on another machine, and do not count"))


def measured(
    runner: Runner, rows: Sequence[Stored], rounds: int, say: Callable[[str], object], turn: float = TURN
) -> list[Replay]:
    """Measure rows again in turns, until each has `rounds` quiet rounds, or twice as many in all.

    Rows of one case share their rounds.
    """
    replays = [Replay(row) for row in rows]
    for place, one in enumerate(replays, 1):
        say(f"checking {one.names[0]}, row {place} of {len(replays)}")
        one.begin(runner)
    cases = by_case(replays)
    began = wall.now() - turn
    for number in range(1, 2 * rounds + 1):
        if not (unfinished := [found for case in cases if (found := [one for one in case if one.open(rounds)])]):
            break
        wall.sleep(max(0.0, began + turn - wall.now()))
        began = wall.now()
        say(f"round {number} of {rounds}" if number <= rounds else f"round {number}, in place of a disturbed one")
        for case in unfinished:
            measure(runner, case, number)
    return replays


def by_case(replays: Sequence[Replay]) -> list[list[Replay]]:
    """The replays in groups of one case, whose rounds are from now on the same."""
    groups: dict[str, list[Replay]] = {}
    for one in replays:
        group = groups.setdefault(one.stored.case.key, [])
        group.append(one)
        one.found = group[0].found
    return [*groups.values()]


def measure(runner: Runner, replays: Sequence[Replay], number: int) -> None:
    """Measure a round of one case, of all implementations that any of the replays needs."""
    case, names = replays[0].stored.case, tuple(dict.fromkeys(name for one in replays for name in one.names))
    rule = max((one.stored.rule for one in replays), key=lambda one: one.max_seconds)
    outcome = runner.run(Task(case, names, number, rule, checked=names), PATIENCE)
    for row in outcome.rows:
        replays[0].found.setdefault(row.implementation, []).append(row)
    for one in replays if not outcome.rows else ():
        if outcome.implementation in ("", *one.names):
            one.ended = Judgement(INCONCLUSIVE, (f"{outcome.implementation}: {outcome.reason}",))


def judgements(
    runner: Runner, known: Mapping[str, Sequence[str]], rows: Sequence[Stored], reasons: Sequence[str], rounds: int
) -> list[Judgement]:
    """The verdict on each row, measured by a runner that knows these implementations of each loss.

    A row with a reason why it cannot be measured, or which the runner does not know, is not comparable.
    """
    reasons = [why or unknown(one.row, known) for one, why in zip(rows, reasons, strict=True)]
    todo = [one.beside_only(known[one.row.loss]) for one, why in zip(rows, reasons, strict=True) if not why]
    found = iter(measured(runner, todo, rounds, say))
    return [Judgement(NOT_COMPARABLE, (why,)) if why else next(found).judgement() for why in reasons]


def unknown(row: Row, known: Mapping[str, Sequence[str]]) -> str:
    """Why a runner with these implementations of each loss cannot measure a row, or the empty string."""
    if row.loss not in known:
        return f"there is no loss {row.loss!r} in the measured version"
    if row.implementation not in known[row.loss]:
        return f"{row.loss} has {', '.join(known[row.loss])}, not {row.implementation}"
    return ""


def refusal(row: Row) -> str:
    """Why the installed package cannot measure a row, or the empty string."""
    try:
        loss = registry.get(row.loss)
    except ValueError as error:
        return str(error)
    if reason := unknown(row, {loss.name: [*loss.implementations]}):
        return reason
    if row.maker not in (*loss.makers, "given"):
        return f"{loss.name} has no maker {row.maker!r}: {', '.join(loss.makers)}"
    missing = {*row.options} - {*inspect.signature(loss.check).parameters}
    return f"{loss.name} has no option {', '.join(sorted(missing))}" if missing else ""


def say(text: str) -> None:
    """Show progress, if anybody is looking."""
    if console(stderr=True).is_terminal:
        print(f"\r\x1b[K{text}\r", end="", file=sys.stderr, flush=True)
