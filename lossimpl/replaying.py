"""A stored row measured again: the same rounds of the same implementations, compared by equivalence.

On the machine that stored it, times are compared. What slows down everything, such as another guest of the host or the
temperature, is taken out: a time counts relative to the pace at which the other implementations of the case ran in the
same round. On another machine only ratios to torch and shares of the ceiling can be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lossimpl import wording
from lossimpl.equivalence import Answer, compared, paces
from lossimpl.forks import Outcome, Task
from lossimpl.measure.types import Rule
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from lossimpl.rounds import RULE
from lossimpl.row import Row, combined
from lossimpl.spec import Case

MARGIN = 0.05  # a change that counts as none: sessions of one machine differ by some percent beyond their rounds
LOOKS = (5, 8, 12)  # quiet rounds after which an answer is looked for; the last may be set by the user
PATIENCE = 60.0  # seconds for one implementation in one round
COSTLY = 1.0  # seconds per call beyond which an implementation is not measured beside another

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
INCONCLUSIVE, NOT_COMPARABLE = "inconclusive", "not comparable"
EXIT_CODES = {REPRODUCED: 0, NOT_REPRODUCED: 1, INCONCLUSIVE: 3, NOT_COMPARABLE: 3}
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

    @property
    def rule(self) -> Rule:
        """When a round stops sampling: as the stored ones did, whose longest sampling ended at its limit."""
        spent = [
            one.warmup_seconds + one.calls * sum(one.samples) for row in (self.row, *self.beside) for one in row.rounds
        ]
        return Rule(max_seconds=min(1.0, max([0.02, *spent])), min_samples=1, max_samples=50, warmup_seconds=0.01)


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


def replayed(runner: Runner, stored: Stored, most: int, say: Callable[[str], object]) -> Judgement:
    """Measure the row again until the answer is known, in at most `most` quiet rounds."""
    if reason := obstacle(stored.row):
        return Judgement(NOT_COMPARABLE, (reason,))
    name = stored.row.implementation
    say(f"checking {name}")
    outcome = runner.run(Task(stored.case, (name,), 0, RULE), PATIENCE)
    if not outcome.rows:
        return Judgement(NOT_COMPARABLE, (f"it could not be measured: {outcome.reason}",))
    if changed := changed_status(stored.row, outcome.rows[0]):
        return Judgement(NOT_REPRODUCED, (changed,))
    if stored.row.status != "ok":
        return Judgement(REPRODUCED, (f"status: {stored.row.status}, as stored",))
    return _until_known(runner, stored, most, say)


def _until_known(runner: Runner, stored: Stored, most: int, say: Callable[[str], object]) -> Judgement:
    names = tuple(row.implementation for row in (stored.row, *stored.beside))
    found: dict[str, list[Row]] = {name: [] for name in names}
    looks = [*(look for look in LOOKS if look < most), most]
    answer, number = Judgement(INCONCLUSIVE, ("no round was measured",)), 0
    while number < 2 * most:
        number += 1
        say(f"round {number} of at most {2 * most}")
        outcome = runner.run(Task(stored.case, names, number, stored.rule, checked=names), PATIENCE)
        if not outcome.rows:
            return Judgement(INCONCLUSIVE, (f"{outcome.implementation}: {outcome.reason}",))
        for row in outcome.rows:
            found[row.implementation].append(row)
        quiet = sum(bool(row.quiet) for row in found[stored.row.implementation])
        if quiet == looks[0]:
            answer = judged(stored, {name: combined(rows) for name, rows in found.items()})
            looks.pop(0)
            if answer.verdict != INCONCLUSIVE or not looks:
                return answer
    return judged(stored, {name: combined(rows) for name, rows in found.items()})


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
    then_times, now_times = stored.row.times, now.times
    controls = [row for row in stored.beside if len(fresh[row.implementation].times) >= FEWEST_ROUNDS]
    typical = [over_rounds([*row.times.values()]).value for row in controls]
    then = relative(then_times, paces([row.times for row in controls], typical))
    fresh_paces = paces([fresh[row.implementation].times for row in controls], typical)
    new = relative(now_times, fresh_paces)
    lines = [
        f"{when}: {wording.seconds(time.value)} ({wording.interval(*time)}), {len(times)} rounds"
        for when, times in (("stored", then_times), ("now", now_times))
        for time in [over_rounds([*times.values()])]
    ]
    if min(len(then), len(new)) >= FEWEST_ROUNDS:
        pace = over_rounds([*fresh_paces.values()]).value
        names = wording.names([row.implementation for row in controls])
        lines.append(f"everything else: {names} took {wording.times(pace)} as long as then, which is taken out")
    else:
        then, new = [*then_times.values()], [*now_times.values()]
        lines.append("nothing was measured beside it, so a change of the whole machine counts as one of the row")
    return _answered("time", compared(then, new, MARGIN), lines)


def relative(times: Mapping[int, float], pace: Mapping[int, float]) -> list[float]:
    """The times over the pace of their rounds, of the rounds that have both."""
    return [time / pace[number] for number, time in times.items() if number in pace]


def _by_ratio_and_share(stored: Stored, fresh: Mapping[str, Row]) -> Judgement:
    row, now = stored.row, fresh[stored.row.implementation]
    pairs = {"share of the ceiling": ([*row.shares.values()], [*now.shares.values()])}
    torch = next((one for one in stored.beside if one.implementation == "torch"), None)
    if torch is not None:
        both = (relative(torch.times, row.times), relative(fresh["torch"].times, now.times))
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
