"""The sequential design: which rows to measure next, and when a verdict is reached. Pure: no clock, no process.

Every row starts in screening. Looks come after 6, 9, 14, 21, ... process pairs. At a look a row can become

- `same`: two one-sided tests show that the change is smaller than the effect threshold, at `spend(SAME_RATE, look)`;
- a suspect: its estimate exceeds the threshold and p <= `SUSPICION`. It moves to confirmation.

Confirmation uses only pairs measured after the suspicion. Suspects found at the same look form a cohort. Its first test
comes with the fewest pairs that can flag all of it, later ones with 1.5 times as many each. The k-th test of a run uses
the rate `spend(rate, k)` and Benjamini-Hochberg over those of the cohort that are not flagged yet; a row that became
`same` stays among them with p = 1. Rows that screening dropped are no candidates; leaving them out does not raise the
error rate, since the fresh pairs are independent of the selection. A row is `slower` or `faster` if it is a discovery
and its estimate from the fresh pairs exceeds the effect threshold.

If more than `FEW` rows are undecided, only the cohort is measured until it was tested `ALONE` times: its rows take a
fraction of the time of all rows, and they matter most to the user. Then its undecided rows are measured with the rest.

The error rate: on identical code a test of a cohort flags any row with probability at most `spend(rate, k)`, since
Benjamini-Hochberg keeps the probability of any discovery at its rate if no row changed (rows of one process have
positively dependent p-values, for which this holds as well). The parts add up to `rate` over all looks, however many,
so a whole run on identical code flags any row with probability at most `rate`. If some rows changed, the share of
false ones among the flagged has the same bound. A verdict of `same` hides a change beyond the threshold with
probability at most `SAME_RATE` per row.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reports.statistics.multiplicity import benjamini_hochberg, minimum_pairs, spend
from reports.statistics.noise import spread
from reports.statistics.paired import Estimate, equivalence_p, estimate, signed_rank_p
from reports.statistics.power import detectable_ratio, pairs_needed

Key = TypeVar("Key", bound=Hashable)

RATE = 0.01  # the probability that a run on identical code flags any row
SAME_RATE = 0.05  # the probability that a row called same has changed beyond the threshold
SUSPICION = 0.20  # lenient, since a false suspicion only costs pairs
FIRST_LOOK = 6  # pairs; the fewest that can show equivalence at spend(SAME_RATE, 1)
GROWTH = 1.5  # of the data from one look to the next
MOST_PAIRS = 200  # per stage; a row that is still undecided then stays so
ALONE = 3  # tests of a cohort before measuring the other rows continues
FEW = 30  # rows that take no longer than starting the process that measures them

OPEN = ("screening", "confirming")
FLAGGED = ("slower", "faster")


@dataclass
class Progress:
    """The state of a row: its stage, and the log ratios of its pairs in both stages."""

    stage: str = "screening"
    screened: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    looks: int = 0
    next_look: int = FIRST_LOOK

    @property
    def ratios(self) -> list[float]:
        """The pairs that the verdict is based on: the fresh ones, once there are any."""
        return self.confirmed or self.screened

    @property
    def pairs(self) -> int:
        """The number of pairs in the current stage."""
        return len(self.screened if self.stage == "screening" else self.confirmed)


@dataclass
class Cohort(Generic[Key]):
    """Suspects found at the same look, tested together; the next test is when each has `next_look` pairs."""

    rows: list[Key]
    next_look: int
    tests: int = 0


@dataclass(frozen=True)
class Verdict:
    """The verdict on a row: `pairs` counts both stages, `estimate` is based on the deciding one only.

    `detectable` is the smallest ratio that these pairs could have shown, and `pairs_needed` how many pairs a change of
    the effect threshold needs, both at the run's rate and with 90 % power.
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
        """The rows that another pair may decide; if they are many, only suspects at first."""
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
        """Stop measuring a row; its verdict is based on its pairs so far."""
        self.progress[row].stage = "dropped"

    def look(self, final: bool = False) -> None:
        """Decide what can be decided; `final` looks at every row, whether or not its look is due."""
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
        """Apply the result of its cohort's test to a row."""
        ratio = estimate(one.confirmed).ratio
        if flagged and abs(math.log(ratio)) >= math.log1p(self.effect):
            one.stage = "slower" if ratio > 1 else "faster"
        else:
            self._look_for_same(one)

    def verdict(self, row: Key) -> Verdict:
        """The current verdict on a row; `inconclusive` if nothing is shown yet."""
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
        """The pairs that a change would have had: a row that became `same` early would have been measured further."""
        return max(len(one.ratios), minimum_pairs(1, self.rate) if one.stage == "same" else 0)
