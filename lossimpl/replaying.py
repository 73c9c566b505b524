"""A stored row measured again: the same rounds of the same implementations, compared by equivalence.

On the machine that stored it, times are compared. What slows down everything, such as another guest of the host or the
temperature, is taken out as far as the time follows the other implementations of the case, and the copy that is its
ceiling, in the same round. On another machine only ratios to torch and shares of the ceiling can be the same.

The number of rounds is fixed beforehand, and the answer is looked for once: whoever measures until a test decides gets
wrong answers more often than it promises. Rounds are spread over minutes, as a session's are, since a shared machine is
in one state for some seconds and then in another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Protocol

from lossimpl import wording
from lossimpl.equivalence import Answer, Paced, compared, paced, together
from lossimpl.exactness import Finding, findings
from lossimpl.forks import Outcome, Task
from lossimpl.measure import wall
from lossimpl.measure.types import Rule
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from lossimpl.rounds import RULE
from lossimpl.row import Row, combined
from lossimpl.spec import Case, Loss

MARGIN = 0.05  # a change that counts as none: sessions of one machine differ by some percent beyond their rounds
ROUNDS = 20  # quiet ones of every row
TURN = 6.0  # seconds that a round of all rows takes at least
PATIENCE = 60.0  # seconds for one implementation in one round
COSTLY = 1.0  # seconds per call beyond which an implementation is not measured beside another

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
INCONCLUSIVE, NOT_COMPARABLE = "inconclusive", "not comparable"
EXIT_CODES = {REPRODUCED: 0, NOT_REPRODUCED: 1, INCONCLUSIVE: 3, NOT_COMPARABLE: 3}
NOTHING_BESIDE = "nothing was measured beside it, so a change of the whole machine counts as one of the row"
VERDICTS = {"same": REPRODUCED, "different": NOT_REPRODUCED, "undecided": INCONCLUSIVE}


class Runner(Protocol):
    """Runs a round in a process of its own."""

    def run(self, task: Task, seconds: float) -> Outcome:
        """The rows, or why there are none."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on, in lines."""

    verdict: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """A row with those of the same case and session, and whether this machine has measured them."""

    row: Row
    beside: tuple[Row, ...]
    same_machine: bool

    @property
    def case(self) -> Case:
        """The case of the row."""
        row, shape = self.row, tuple(map(int, self.row.shape.split("x")))
        options = tuple(sorted(row.options.items()))
        return Case(row.loss, shape, row.dtype, row.device, row.mode, options, row.maker, row.seed)

    def installed(self, loss: Loss) -> Stored:
        """The same with those companions only that the installed package has."""
        return replace(self, beside=tuple(one for one in self.beside if one.implementation in loss.implementations))

    @property
    def rule(self) -> Rule:
        """That of the stored rounds: calls with more samples than the least took about as long as the rule allowed."""
        rounds = [one for row in (self.row, *self.beside) for one in row.rounds]
        spent = [one.calls * sum(one.samples) for one in rounds if len(one.samples) > RULE.min_samples]
        return replace(RULE, max_seconds=median(spent)) if spent else RULE


def obstacle(row: Row) -> str:
    """Why a row cannot be compared with anything, or the empty string."""
    if row.status == "disturbed":
        return f"the stored row is disturbed: {row.reason}"
    if row.maker == "given":
        return "it was measured on tensors of the user, which are not stored"
    if row.status == "unavailable" and row.reason.startswith("no answer"):
        return f"it was not waited for: {row.reason}"
    if row.status == "ok" and len(row.times) < FEWEST_ROUNDS:
        return f"it has {len(row.times)} quiet rounds, and {FEWEST_ROUNDS} support an interval"
    return ""


def companions(row: Row, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The other rows of the same case and session that can be measured beside it, in a stored round's order."""
    return tuple(
        one
        for one in rows
        if one.implementation != row.implementation
        and _case(one) == _case(row)
        and one.status == "ok"
        and len(one.times) >= FEWEST_ROUNDS
        and over_rounds([*one.times.values()]).value < COSTLY
    )


def _case(row: Row) -> tuple[object, ...]:
    return (
        *(row.session, row.loss, row.shape, row.dtype, row.device, row.mode, row.maker, row.seed),
        *sorted(row.options.items()),
    )


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


def changed_status(stored: Row, fresh: Row) -> str:
    """How the status or the verdict on agreement differs, or the empty string."""
    if fresh.status != stored.status:
        return f"status: {stored.status} -> {fresh.status} ({fresh.reason or 'no reason'})"
    then, now = ((row.agreement or {}).get("verdict", "not checked") for row in (stored, fresh))
    return f"agreement: {then} -> {now}" if then != now else ""


def judged(stored: Stored, fresh: Mapping[str, Row]) -> Judgement:
    """Whether the new rows hold what the stored ones say."""
    now = fresh[stored.row.implementation]
    if now.status == "disturbed":
        return Judgement(INCONCLUSIVE, (f"this machine is busy: {now.reason}",))
    if now.status != "ok":
        return Judgement(NOT_REPRODUCED, (f"status: {stored.row.status} -> {now.status} ({now.reason})",))
    if stored.same_machine:
        return _by_time(stored, fresh)
    return _by_ratio_and_share(stored, fresh)


def _by_time(stored: Stored, fresh: Mapping[str, Row]) -> Judgement:
    now = fresh[stored.row.implementation]
    controls = [row for row in stored.beside if len(fresh[row.implementation].times) >= FEWEST_ROUNDS]
    then = paced(stored.row.times, _paces(stored.row, controls))
    new = paced(now.times, _paces(now, [fresh[row.implementation] for row in controls]))
    if min(len(then), len(new)) < FEWEST_ROUNDS:
        controls, then, new = [], paced(stored.row.times, ()), paced(now.times, ())
    answer = compared(then, new, MARGIN)
    lines = [
        f"{when}: {wording.seconds(time.value)} ({wording.interval(*time)}), {len(times)} rounds"
        for when, times in (("stored", stored.row.times), ("now", now.times))
        for time in [over_rounds([*times.values()])]
    ]
    names = [wording.names([row.implementation for row in controls])] if controls else []
    others = zip([*names, f"a {stored.row.ceiling_name} of memory"], answer.paces, strict=False)
    slower = [f"{name} took {wording.times(pace)} as long as then" for name, pace in others]
    lines.append(f"allowed for: {'; '.join(slower)}" if slower else NOTHING_BESIDE)
    return _answered("time", answer, lines)


def _paces(row: Row, beside: Sequence[Row]) -> list[dict[int, float]]:
    """How long the others took in each round, and how long the memory of the ceiling per byte."""
    ceiling = {one.number: 1 / one.ceiling for one in row.rounds}
    return [*([together([one.times for one in beside])] if beside else []), ceiling]


def ratios(times: Mapping[int, float], others: Mapping[int, float]) -> list[Paced]:
    """The times over those of the other in the same round, of the rounds that have both."""
    return [Paced(time / others[number]) for number, time in times.items() if number in others]


def _by_ratio_and_share(stored: Stored, fresh: Mapping[str, Row]) -> Judgement:
    row, now = stored.row, fresh[stored.row.implementation]
    pairs = {"share of the ceiling": (paced(row.shares, ()), paced(now.shares, ()))}
    torch = next((one for one in stored.beside if one.implementation == "torch"), None)
    if torch is not None:
        both = (ratios(torch.times, row.times), ratios(fresh["torch"].times, now.times))
        pairs = {"torch / this": both} | pairs
    found = [
        _answered(name, compared(then, new, MARGIN), ())
        for name, (then, new) in pairs.items()
        if min(len(then), len(new)) >= FEWEST_ROUNDS
    ]
    lines = ["another machine: times are not compared", *(line for one in found for line in one.lines)]
    verdicts = {one.verdict for one in found}
    if not verdicts:
        return Judgement(NOT_COMPARABLE, (*lines, "too few rounds have both a time and what it is compared with"))
    worst = next(one for one in (NOT_REPRODUCED, INCONCLUSIVE, REPRODUCED) if one in verdicts)
    return Judgement(worst, tuple(lines))


def _answered(name: str, answer: Answer, lines: Sequence[str]) -> Judgement:
    text = (
        f"{name}, now / stored: {wording.times_interval(*answer.ratio)}; up to {MARGIN:.0%} either way counts as none"
    )
    verdict = VERDICTS[answer.verdict]
    found = [*lines, text]
    if verdict == INCONCLUSIVE and answer.rounds:
        found.append(f"about {answer.rounds} rounds would decide: --rounds {answer.rounds}")
    elif verdict == INCONCLUSIVE:
        found.append("no number of rounds would decide: the stored ones scatter too much, or it lies at the margin")
    return Judgement(verdict, tuple(found))
