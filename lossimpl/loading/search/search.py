"""The search within a time budget: paired rounds over a field of settings, then verdicts on the data of the fastest.

The first rounds compare worker counts, kept or started again for each epoch. Around the fastest of these the other
arguments are varied, one at a time and then together, and more rounds follow while the budget lasts. At the end the
finalists meet their simpler twins, so that no setting is recommended that a simpler one equals. What is left of the
budget goes to the matrix of arguments and to other loaders.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lossimpl.loading import deadlines
from lossimpl.loading.bench import Bench, hopeless
from lossimpl.loading.data.verdict import STRICT
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.search import beside
from lossimpl.loading.search.measured import Measured, merged, with_verdict
from lossimpl.loading.search.race import Race
from lossimpl.loading.search.space import Axes, starters, twins, variants
from lossimpl.loading.search.store import Record, Store
from lossimpl.loading.settings import Settings
from lossimpl.measure.threads import usable_cores
from lossimpl.measure.wall import now

SHORTEST, LONGEST = 0.2, 0.6  # seconds of driving in each round
KEPT = 3  # finalists
ROUNDS, FINAL_ROUNDS = 8, 4  # rounds that are enough; and for the finalists and their twins
FAILURES = 3  # settings that fail before the search gives up
SHORT_BUDGET = 30.0  # seconds; below, nothing is spent beside the answer
SHARE_FIRST, SHARE_VARIED, SHARE_FINAL = 0.35, 0.6, 0.75  # of the budget, when each part ends at the latest

Report = Callable[[str], None]


def silent(what: str) -> None:
    """Report to nobody."""
    del what


@dataclass
class Search:
    """A search over one dataset.

    `first` are settings to try before all others. `report` is called with what is done next, `show` with each row;
    `store` keeps what was found; `started` is when the budget began. `needed`: the seconds of the smallest search,
    where the budget is shorter. `stopped`: why the search ended early.
    """

    bench: Bench
    base: Settings
    axes: Axes
    budget: float
    store: Store = field(default_factory=Store)
    first: Sequence[Settings] = ()
    report: Report = silent
    show: Callable[[Measured], None] | None = None
    rows: list[Measured] = field(default_factory=list)
    race: Race = field(default_factory=Race)
    judged: dict[Settings, Measured] = field(default_factory=dict)
    effects: list[Record] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    started: float = field(default_factory=now)
    needed: float | None = None
    stopped: str = ""

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.started + self.budget - now()

    def left_until(self, share: float) -> float:
        """Seconds until so much of the budget is spent; a short budget goes to the answer alone."""
        stretched = share if self.budget > SHORT_BUDGET else share + (1 - SHARE_FINAL)
        return self.left - (1 - stretched) * self.budget

    @property
    def seen(self) -> Inspection:
        """What the inspection found, or nothing where it was interrupted."""
        return self.bench.inspected.get(self.base.batch_size, Inspection(Outcome()))

    def run(self) -> None:
        """The whole search; what was found so far is in `rows`, `judged`, `effects` and `others` at any moment."""
        if self.possible():
            self.find()
        if not self.stopped and self.needed is None and self.budget > SHORT_BUDGET:
            beside.measure(self, (self.race.alive or [self.base])[0])

    def possible(self) -> bool:
        """Whether the budget allows an answer at all; a dataset that cannot be read has its row."""
        seen = self.bench.inspect(self.base)
        if hopeless(self.base, seen):
            self.measure(self.base, 0)
            self.stopped = "the dataset cannot be read"
            return False
        least = deadlines.smallest_search(self.base, seen, self.driving, self.bench.zygote.start_seconds)
        self.needed = least if least > max(self.left, 0.0) and least > self.budget / 2 else None
        return self.needed is None

    def find(self) -> None:
        """Rounds over the starters and what varies the fastest of them, then the finalists with their verdicts."""
        seen = self.bench.inspect(self.base)
        cores = seen.machine.cores if seen.machine else usable_cores()
        field_ = list(dict.fromkeys([*self.first, *starters(self.base, self.axes, seen.facts, cores)]))
        self.round(0, field_, SHARE_FIRST)
        self.judge_leader()
        self.rounds(1, 2, SHARE_FIRST)
        if not self.stopped:
            self.vary()
            self.judge_leader()
            self.finish()

    def ask(self, kind: str, settings: Settings, answer: Callable[[], Record], **more: Any) -> Record:
        """The stored line that answers this question, else a new one."""
        bench = self.bench
        fixed = {"dataset": bench.dataset, "step": bench.step, "consumer": bench.consumer, "seed": bench.seed}
        return self.store.answer({"kind": kind, "scenario": asdict(settings), **fixed, **more}, answer)

    def measure(self, settings: Settings, number: int) -> Measured:
        """The row of one setting in one round, from the store where it is there already."""
        self.report(settings.text)
        seconds = self.driving

        def answer() -> Record:
            known = any(row.stall_fraction is not None for row in self.of(settings))
            row = self.bench.measure(settings, seconds, verdict_seconds=0.0, stall=not known)
            return {**asdict(row), "budget": seconds, "number": number}

        found = Measured.from_record(self.ask("measurement", settings, answer, budget=seconds, number=number))
        self.rows.append(found)
        self.race.note(settings, number, found.ranked_rate)
        if self.show is not None:
            self.show(found)
        return found

    @property
    def driving(self) -> float:
        """Seconds of driving per row: depends on the budget alone, so that a resumed search finds its rows."""
        return min(LONGEST, max(SHORTEST, self.budget / 200))

    @property
    def verdict_seconds(self) -> float:
        """Seconds for the runs of a verdict, likewise."""
        return min(10.0, max(0.5, self.budget / 15))

    def cost(self, settings: Settings) -> float:
        """The seconds that another row of these settings will take."""
        known = [row.seconds for row in self.rows if row.settings == settings and row.seconds]
        return max(known) if known else 1.3 * self.bench.timing_seconds(settings, self.driving)

    def verdict_cost(self, settings: Settings) -> float:
        """The seconds that the verdict on these settings will take, and that of the reference where it is not known."""
        samples = self.bench.verdict_samples(settings, self.verdict_seconds)
        sides = {settings, replace(settings.without_workers(), pin_memory=False)}
        new = [one for one in sides if (one, samples) not in self.bench.delivered]
        seen, imports = self.bench.inspect(settings), self.bench.zygote.start_seconds
        return sum(2 * deadlines.fingerprint(one, seen, samples, imports) for one in new)

    def shuffled(self, settings: Iterable[Settings], number: int) -> list[Settings]:
        """In an order that does not follow the values and is another in each round."""
        listed = list(settings)
        return random.Random(1000 * self.bench.seed + number).sample(listed, len(listed))

    def round(self, number: int, settings: Iterable[Settings], share: float) -> None:
        """One row of each setting, as far as time allows, with time for one verdict left."""
        for one in settings:
            if self.stopped or one in self.race.out:
                continue
            reserve = 0.0 if self.judged else self.verdict_cost(one)
            if self.rows and self.left_until(share) < self.cost(one) + reserve:
                continue
            self.measure(one, number)
            self.stop_if_hopeless()
        self.race.drop_slower()

    def rounds(self, first: int, count: int, share: float) -> None:
        """So many more rounds over what is still in."""
        for number in range(first, first + count):
            self.round(number, self.shuffled(self.race.alive, number), share)

    def stop_if_hopeless(self) -> None:
        """Give up where the first settings all failed alike."""
        failed = [row for row in self.rows if row.status not in ("ok", "invalid", "skipped")]
        if len(failed) >= FAILURES and not self.race.rates:
            self.stopped = f"the first {len(failed)} settings failed"

    def vary(self) -> None:
        """Around the fastest: the other arguments one at a time, then the combinations of what did not lose."""
        facts, number = self.bench.inspect(self.base).facts, 1 + max(self.race.numbers, default=0)
        leaders = self.race.alive[:2]
        found = dict.fromkeys(one for leader in leaders for one in variants(leader, self.axes, facts))
        costly = sorted(found, key=lambda one: one.multiprocessing_context is not None)  # the slow starters last
        for added in range(2):
            alive = [one for one in costly if one not in self.race.out]
            self.round(number + added, [*leaders, *alive], SHARE_VARIED)
        self.rounds(1 + max(self.race.numbers, default=0), ROUNDS - 4, SHARE_VARIED)

    def finish(self) -> None:
        """The finalists beside their simpler twins in rounds of their own, then verdicts until one is good."""
        facts = self.bench.inspect(self.base).facts
        finalists = self.race.alive[:KEPT]
        simple = [two for one in finalists for two in twins(one, self.axes, facts) if self.worth(two)]
        field_ = list(dict.fromkeys([*finalists, *simple]))
        start = 1 + max(self.race.numbers, default=0)
        for number in range(start, start + FINAL_ROUNDS):
            self.round(number, self.shuffled([one for one in field_ if one not in self.race.out], number), SHARE_FINAL)
        for one in self.race.order(one for one in field_ if one not in self.race.out):
            if self.left > self.verdict_cost(one) and len(self.good) < KEPT:
                self.judge(one)
        if not self.good:
            self.judge_leader()

    def worth(self, settings: Settings) -> bool:
        """Whether a twin was not already shown to be slower."""
        return settings not in self.race.out and settings not in self.judged

    @property
    def good(self) -> list[Measured]:
        """The rows with a verdict that an answer may have."""
        return [row for row in self.judged.values() if row.status == "ok" and row.verdict in STRICT]

    def judge_leader(self) -> None:
        """Verdicts on the fastest, until one is good, so that no time is spent on settings that cannot be used.

        Where three settings with workers are wrong, all with workers are taken for wrong, and no workers are judged.
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

    def judge(self, settings: Settings) -> Measured:
        """The row that stands for all rounds of these settings, with its verdict; a wrong one is out."""
        if settings in self.judged:
            return self.judged[settings]
        self.report(f"the data of {settings.text}")
        samples = self.bench.verdict_samples(settings, self.verdict_seconds)

        def answer() -> Record:
            row = self.bench.explained(self.bench.judge(merged(self.of(settings)), samples))
            return {**asdict(row), "budget": self.driving}

        rounds = len(self.of(settings))
        found = Measured.from_record(self.ask("verdict", settings, answer, samples=samples, rounds=rounds))
        self.judged[settings] = found
        if found.status != "ok":
            self.race.out.add(settings)
        return found

    def of(self, settings: Settings) -> list[Measured]:
        """All rows of these settings."""
        return [row for row in self.rows if row.settings == settings]

    def merged_rows(self) -> list[Measured]:
        """One row per setting, standing for all its rounds, with its verdict where there is one."""
        return [
            with_verdict(merged(self.of(one)), self.judged.get(one)) for one in {row.settings: 0 for row in self.rows}
        ]
