"""Is a stored row reproduced? The verdict on new rounds of it, by equivalence.

On the machine that stored it, times are compared. What slows down everything, such as another guest of the host or the
temperature, is taken out as far as the time follows the other implementations of the case, and the copy that is its
ceiling, in the same round. On another machine only ratios to torch and shares of the ceiling can be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossimpl import wording
from lossimpl.equivalence import Answer, Paced, compared, paced, together
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from lossimpl.replayable import Stored
from lossimpl.row import Row

MARGIN = 0.05  # a change that counts as none: sessions of one machine differ by some percent beyond their rounds

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
INCONCLUSIVE, NOT_COMPARABLE = "inconclusive", "not comparable"
EXIT_CODES = {REPRODUCED: 0, NOT_REPRODUCED: 1, INCONCLUSIVE: 3, NOT_COMPARABLE: 3}
NOTHING_BESIDE = "nothing was measured beside it, so a change of the whole machine counts as one of the row"
VERDICTS = {"same": REPRODUCED, "different": NOT_REPRODUCED, "undecided": INCONCLUSIVE}


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on, in lines."""

    verdict: str
    lines: tuple[str, ...] = ()


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
