"""The sequential design: which rows to measure next, and when a verdict stands. Pure; knows no clock and no process.

Every row starts in screening. Looks come after 6, 9, 14, 21, ... process pairs. At a look a row may turn out

- `same`: two one-sided tests show that the change is smaller than the effect threshold, at `spend(SAME_RATE, look)`;
- a suspect: its estimate passes the threshold and p <= `SUSPICION`. It goes to confirmation.

Confirmation starts from nothing: only pairs measured after the suspicion count. Suspects that were named at the same
look form a cohort. Its first test comes with the fewest pairs that can flag it whole, the next ones with half as many
again. The k-th test in this run uses the rate `spend(rate, k)` and Benjamini-Hochberg over those of the cohort that
are not flagged yet; one that turned out `same` stays among them with p = 1. Rows that screening dropped were never
candidates, and leaving them out costs nothing, since fresh pairs do not know why a row was chosen. A row is `slower` or
`faster` if it is a discovery and its estimate, from the fresh pairs, passes the effect threshold.

Where more than `FEW` rows are undecided, a cohort has the processes to itself until it was tested `ALONE` times: its
rows take a fraction of the time that all rows take, and what they are is what the user asks first. Then its undecided
rows are measured with the others.

The error rate: on identical code a test of a cohort flags any row with probability at most `spend(rate, k)`, since
Benjamini-Hochberg keeps the chance of any discovery at its rate where nothing is to be discovered (what rows of one
process have in common makes their p-values positively dependent, and there it holds too). The parts add up to `rate`
over all looks, however many, so a whole run on identical code flags any row at all with probability `rate` at most.
Where some rows did change, the share of false ones among the flagged has the same bound. A verdict of `same` hides a
change beyond the threshold with probability `SAME_RATE` at most, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reports.statistics import (
    Estimate,
    benjamini_hochberg,
    detectable_ratio,
    equivalence_p,
    estimate,
    minimum_pairs,
    pairs_needed,
    signed_rank_p,
    spend,
    spread,
)

Key = TypeVar("Key", bound=Hashable)

RATE = 0.01  # the chance that a run on identical code flags anything
SAME_RATE = 0.05  # the chance that a row called same has changed beyond the threshold
SUSPICION = 0.20  # a suspect costs pairs, not credibility: a low bar
FIRST_LOOK = 6  # pairs; the fewest that can show equivalence at spend(SAME_RATE, 1)
GROWTH = 1.5  # each look at half as much data again
MOST_PAIRS = 200  # in a stage; a row that they leave undecided stays so
ALONE = 3  # tests of a cohort before the other rows are measured on
FEW = 30  # rows take no longer than starting the process that measures them

OPEN = ("screening", "confirming")
FLAGGED = ("slower", "faster")


@dataclass
class Progress:
    """A row on its way to a verdict: the log ratios of its pairs in either stage."""

    stage: str = "screening"
    screened: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    looks: int = 0
    next_look: int = FIRST_LOOK

    @property
    def ratios(self) -> list[float]:
        """The pairs that the verdict rests on: the fresh ones, once there are any."""
        return self.confirmed or self.screened

    @property
    def pairs(self) -> int:
        """Pairs measured in the present stage."""
        return len(self.screened if self.stage == "screening" else self.confirmed)


@dataclass
class Cohort(Generic[Key]):
    """Suspects that were named at the same look and are tested together, next when each has `next_look` pairs."""

    rows: list[Key]
    next_look: int
    tests: int = 0


@dataclass(frozen=True)
class Verdict:
    """What the design says of a row: `pairs` counts both stages, `estimate` rests on the deciding one only.

    `detectable` is the smallest ratio that the pairs measured could have shown, and `pairs_needed` how many a change
    of the effect threshold takes, both at the run's rate and with 90 % power.
    """

    verdict: str
    estimate: Estimate
    pairs: int
    detectable: float
    pairs_needed: int


class Design(Generic[Key]):
    """The state of all rows of one run; `wanted`, then `observe` each pair, then `look`, until nothing is wanted."""

    def __init__(self, rows: Iterable[Key], effect: float = 0.05, rate: float = RATE) -> None:
        if not 0 < effect < 1:
            raise ValueError(f"effect must be between 0 and 1, not {effect}")
        self.effect, self.rate = effect, rate
        self.progress: dict[Key, Progress] = {row: Progress() for row in rows}
        self.cohorts: list[Cohort[Key]] = []
        self.tests = 0

    def wanted(self) -> list[Key]:
        """The rows that one more pair may decide; where they are many, suspects alone at first."""
        undecided = [row for row, one in self.progress.items() if one.stage in OPEN and one.pairs < MOST_PAIRS]
        if len(undecided) <= FEW:
            return undecided
        first = {row for cohort in self.cohorts if cohort.tests < ALONE for row in cohort.rows}
        return [row for row in undecided if row in first] or undecided

    def observe(self, row: Key, ratio: float) -> None:
        """Add a pair's log ratio to a row."""
        one = self.progress[row]
        (one.screened if one.stage == "screening" else one.confirmed).append(ratio)

    def drop(self, row: Key) -> None:
        """Measure a row no more; its verdict is what its pairs show so far."""
        self.progress[row].stage = "dropped"

    def look(self, final: bool = False) -> None:
        """Decide what can be decided. `final` looks at every row once more, whatever is still to come."""
        for cohort in self.cohorts:
            self._look_at_cohort(cohort, final)
        suspects = [row for row, one in self.progress.items() if self._screening_look(one, final)]
        if suspects:
            self._start_confirming(suspects)

    def _screening_look(self, one: Progress, final: bool) -> bool:
        """Look at a row in screening; whether it is a suspect now."""
        if one.stage != "screening" or not one.screened or (one.pairs < one.next_look and not final):
            return False
        self._look_for_same(one)
        found = estimate(one.screened)
        suspect = abs(math.log(found.ratio)) >= math.log1p(self.effect) and found.p_value <= SUSPICION
        return suspect and one.stage == "screening"

    def _look_for_same(self, one: Progress) -> None:
        one.looks += 1
        one.next_look = math.ceil(GROWTH * max(one.pairs, one.next_look))
        if equivalence_p(one.ratios, self.effect) <= spend(SAME_RATE, one.looks):
            one.stage = "same"

    def _start_confirming(self, suspects: list[Key]) -> None:
        for row in suspects:
            self.progress[row].stage = "confirming"
        self.cohorts.append(Cohort(suspects, minimum_pairs(1, spend(self.rate, self.tests + 1))))

    def _look_at_cohort(self, cohort: Cohort[Key], final: bool) -> None:
        rows = [one for one in map(self.progress.__getitem__, cohort.rows) if one.stage not in FLAGGED]
        undecided = [one for one in rows if one.stage == "confirming"]
        ready = all(one.pairs >= cohort.next_look for one in undecided)
        if not any(one.pairs for one in undecided) or not (ready or final):
            return
        self.tests += 1
        cohort.tests += 1
        cohort.next_look = math.ceil(GROWTH * cohort.next_look)
        p_values = [signed_rank_p(one.confirmed) if one.stage == "confirming" else 1.0 for one in rows]
        flags = benjamini_hochberg(p_values, spend(self.rate, self.tests))
        for one, flagged in zip(rows, flags, strict=True):
            if one.stage == "confirming":
                self._judge(one, flagged)

    def _judge(self, one: Progress, flagged: bool) -> None:
        """What a test of its cohort makes of a row."""
        ratio = estimate(one.confirmed).ratio
        if flagged and abs(math.log(ratio)) >= math.log1p(self.effect):
            one.stage = "slower" if ratio > 1 else "faster"
        else:
            self._look_for_same(one)

    def verdict(self, row: Key) -> Verdict:
        """The verdict on a row as things stand; `inconclusive` where nothing is shown."""
        one = self.progress[row]
        noise = spread(one.ratios) if one.ratios else math.inf
        return Verdict(
            verdict=one.stage if one.stage in (*FLAGGED, "same") else "inconclusive",
            estimate=estimate(one.ratios),
            pairs=len(one.screened) + len(one.confirmed),
            detectable=detectable_ratio(noise, self._reach(one), self.rate),
            pairs_needed=pairs_needed(noise, 1 + self.effect, self.rate),
        )

    def _reach(self, one: Progress) -> int:
        """The pairs that a change would have had: a row that ended early as `same` could have gone on to be flagged."""
        return max(len(one.ratios), minimum_pairs(1, self.rate) if one.stage == "same" else 0)
