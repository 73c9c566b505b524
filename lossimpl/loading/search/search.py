"""The search within a time budget: settings compared in paired rounds, then verdicts on the data of the fastest.

The first rounds compare worker counts, persistent or not. Then the other arguments of the fastest are varied, one at a
time, while the budget lasts. In the last rounds the finalists meet their simpler twins, so that no setting is
recommended where a simpler one is as fast. What remains of the budget goes to the matrix of arguments and to peers.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lossimpl.loading import deadlines
from lossimpl.loading.bench import known_failure
from lossimpl.loading.search import beside
from lossimpl.loading.search.measurements import Measurements
from lossimpl.loading.search.space import Axes, starters, twins, variants
from lossimpl.loading.search.store import Record
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts
from lossimpl.measure.threads import usable_cores

FINALISTS = 3
EARLY_ROUNDS, FINAL_ROUNDS = 2, 4
VARIED_ROUNDS, MORE_ROUNDS = 2, 4  # with all variants; of what is still in the race
FAILURES = 3  # settings that fail before the search gives up
SHORT_BUDGET = 30.0  # seconds; a shorter one goes to the answer alone
SHARE_FIRST, SHARE_VARIED, SHARE_FINAL = 0.35, 0.6, 0.75  # of the budget, by which each part has ended


@dataclass(kw_only=True)
class Search(Measurements):
    """A search over one dataset.

    `first` are settings to try before all others. `needed`: the seconds of the smallest search, where the budget is
    shorter. `stopped`: why the search ended early.
    """

    axes: Axes = field(default_factory=dict)
    first: Sequence[Settings] = ()
    effects: list[Record] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    needed: float | None = None
    stopped: str = ""

    @property
    def facts(self) -> Facts:
        """The facts of the dataset, which is inspected when they are first asked for."""
        return self.bench.inspect(self.base).facts

    @property
    def next_round(self) -> int:
        """The number of a round that no setting has been in."""
        return 1 + max(self.race.numbers, default=0)

    def run(self) -> None:
        """The whole search; what was found so far is in `rows`, `judged`, `effects` and `others` at any moment."""
        if self.possible():
            self.find()
        if not self.stopped and self.needed is None and self.budget > SHORT_BUDGET:
            beside.measure(self, (self.race.alive or [self.base])[0])

    def possible(self) -> bool:
        """Whether the budget allows an answer; a dataset that cannot be read gets one row that says why."""
        seen = self.bench.inspect(self.base)
        if known_failure(self.base, seen):
            self.measure(self.base, 0)
            self.stopped = "the dataset cannot be read"
            return False
        least = deadlines.smallest_search(self.base, seen, self.driving, self.bench.zygote.start_seconds)
        self.needed = least if least > max(self.left, 0.0) and least > self.budget / 2 else None
        return self.needed is None

    def find(self) -> None:
        """Rounds over the starters and the variants of the fastest, then the finalists with their verdicts."""
        machine = self.bench.inspect(self.base).machine
        cores = machine.cores if machine else usable_cores()
        self.round(0, [*self.first, *starters(self.base, self.axes, self.facts, cores)], SHARE_FIRST)
        self.judge_leader()
        self.rounds(EARLY_ROUNDS, SHARE_FIRST)
        if not self.stopped:
            self.vary()
            self.judge_leader()
            self.finish()

    def left_until(self, share: float) -> float:
        """Seconds until this share of the budget is spent; all shares are larger where the budget is short."""
        share += 0.0 if self.budget > SHORT_BUDGET else 1 - SHARE_FINAL
        return self.left - (1 - share) * self.budget

    def round(self, number: int, settings: Iterable[Settings], share: float) -> None:
        """One row per setting while this share of the budget lasts, which includes the time for a first verdict."""
        for one in dict.fromkeys(settings):
            if self.stopped or one in self.race.out:
                continue
            reserve = 0.0 if self.judged else self.verdict_cost(one)
            if self.rows and self.left_until(share) < self.cost(one) + reserve:
                continue
            self.measure(one, number)
            self.stop_if_all_failed()
        self.race.drop_slower()

    def rounds(self, count: int, share: float) -> None:
        """More rounds over all that are still in the race, each in another order."""
        for number in range(self.next_round, self.next_round + count):
            self.round(number, self.shuffled(self.race.alive, number), share)

    def shuffled(self, settings: Iterable[Settings], number: int) -> list[Settings]:
        """The settings in a random order, which is the same whenever a search is resumed."""
        listed = list(settings)
        return random.Random(1000 * self.bench.seed + number).sample(listed, len(listed))

    def stop_if_all_failed(self) -> None:
        """Give up where all of the first settings failed."""
        failed = [row for row in self.rows if row.status not in ("ok", "invalid", "skipped")]
        if len(failed) >= FAILURES and not self.race.rates:
            self.stopped = f"the first {len(failed)} settings failed"

    def vary(self) -> None:
        """The other arguments of the two fastest, one at a time."""
        leaders = self.race.alive[:2]
        found = [one for leader in leaders for one in variants(leader, self.axes, self.facts)]
        slow_starts_last = sorted(found, key=lambda one: one.multiprocessing_context is not None)
        for _ in range(VARIED_ROUNDS):
            self.round(self.next_round, [*leaders, *slow_starts_last], SHARE_VARIED)
        self.rounds(MORE_ROUNDS, SHARE_VARIED)

    def finish(self) -> None:
        """The finalists beside their simpler twins in rounds of their own, then verdicts until enough are good."""
        finalists = self.race.alive[:FINALISTS]
        simpler = [two for one in finalists for two in twins(one, self.axes, self.facts) if two not in self.judged]
        field_ = list(dict.fromkeys([*finalists, *simpler]))
        for number in range(self.next_round, self.next_round + FINAL_ROUNDS):
            self.round(number, self.shuffled(field_, number), SHARE_FINAL)
        for one in self.race.order(one for one in field_ if one not in self.race.out):
            if self.left > self.verdict_cost(one) and len(self.good) < FINALISTS:
                self.judge(one)
        if not self.good:
            self.judge_leader()

    def judge_leader(self) -> None:
        """Verdicts on the fastest until one is good, so that no time goes to settings that cannot be used.

        Where three settings in a row deliver wrong data, those with workers are taken to be wrong, too.
        """
        wrong = 0
        while not self.stopped and (alive := self.race.alive) and alive[0] not in self.judged:
            if self.left < self.verdict_cost(alive[0]):
                return
            row = self.judge(alive[0])
            if row.status == "ok":
                return
            wrong += 1
            if wrong >= FAILURES and row.settings.num_workers:
                self.race.out |= {one for one in self.race.alive if one.num_workers}
        if not self.race.alive and self.judged and not self.good:
            self.stopped = "every setting delivers wrong data"
