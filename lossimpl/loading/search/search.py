"""The search within a time budget: screen one argument at a time, then successive halving over what is left.

Screening finds, for each argument, the values that are certainly slower; only combinations of the others are tried.
They start with short measurements in random order, and after each round the better third goes on with three times the
time (Jamieson and Talwalkar 2016). A setting whose interval overlaps that of the best is not dropped. The last part of
the budget goes to the verdicts on the data and to the matrix of arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.row import Row
from lossimpl.loading.search import distributed, matrix, peers
from lossimpl.loading.search.space import Axes, one_at_a_time, product
from lossimpl.loading.search.store import Record, Store
from lossimpl.loading.settings import Settings
from lossimpl.measure.wall import now

SHORTEST = 0.25  # seconds of driving in the first round
SHARE_MATRIX = 0.25  # of the budget, for the matrix of arguments
KEPT = 3  # one of so many goes on
SECONDS_FOR_A_PEER, SECONDS_FOR_TORCHRUN = 5.0, 10.0
VALUES_KEPT = 2  # of each argument after the screening

Report = Callable[[str], None]


@dataclass(frozen=True)
class Measured(Row):
    """A row of a search: `budget` seconds of driving were asked for, `key` finds it again in the store."""

    key: str = ""
    budget: float = 0.0


def silent(what: str) -> None:
    """Report to nobody."""
    del what


@dataclass
class Search:
    """A search over one dataset. `report` is called with what is done next; `store` keeps what was found."""

    bench: Bench
    base: Settings
    axes: Axes
    budget: float
    store: Store = field(default_factory=Store)
    report: Report = silent
    rows: list[Measured] = field(default_factory=list)
    effects: list[Record] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    started: float = field(default_factory=now)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.started + self.budget - now()

    def run(self) -> None:
        """The whole search; what was found so far is in `rows`, `effects` and `others` at any moment."""
        finalists = self.find()
        self.explain()
        self.compare((finalists or [self.base])[0])

    def find(self) -> list[Settings]:
        """The settings that were confirmed, the fastest of the short measurements first."""
        finalists = self.halve(self.candidates(self.screen()))
        self.confirm(finalists)
        return finalists

    def ask(self, kind: str, settings: Settings, answer: Callable[[], Record], **more: Any) -> Record:
        """The stored line that answers this question, else a new one."""
        bench = self.bench
        fixed = {"dataset": bench.dataset, "step": bench.step, "consumer": bench.consumer, "seed": bench.seed}
        return self.store.answer({"kind": kind, "scenario": asdict(settings), **fixed, **more}, answer)

    def measure(self, settings: Settings, seconds: float, verdict_seconds: float = 0.0) -> Measured:
        """One row, from the store where it is there already."""
        self.report(settings.text)

        def answer() -> Record:
            return {**asdict(self.bench.measure(settings, seconds, verdict_seconds)), "budget": seconds}

        line = self.ask("measurement", settings, answer, budget=seconds, verdict_seconds=verdict_seconds)
        self.rows.append(Measured.from_record(line))
        return self.rows[-1]

    def shuffled(self, settings: Sequence[Settings]) -> list[Settings]:
        """In an order that does not follow the values, so that a drift of the machine favours none of them."""
        return random.Random(self.bench.seed).sample(list(settings), len(settings))

    def screen(self) -> dict[Settings, Measured]:
        """The workers first, then each other argument from the best number of workers."""
        facts = self.bench.inspect(self.base).facts
        counts = product(self.base, {"num_workers": self.axes["num_workers"]}, facts)
        found = {one: self.measure(one, SHORTEST) for one in self.shuffled(counts)}
        with_workers = {one: row for one, row in found.items() if one.num_workers} or found
        start = max(with_workers, key=lambda one: with_workers[one].ranked_rate)
        others = {name: values for name, values in self.axes.items() if name != "num_workers"}
        singles = self.shuffled([one for one in one_at_a_time(start, others, facts) if one not in found])
        for one in sorted(singles, key=lambda one: one.multiprocessing_context is not None):  # the slow starters last
            if self.left < self.budget / 2:
                break
            found[one] = self.measure(one, SHORTEST)
        return found

    def candidates(self, screened: dict[Settings, Measured]) -> list[Settings]:
        """The combinations of the values that the screening did not show to be slower."""
        best = max(screened, key=lambda one: screened[one].ranked_rate)
        kept = {name: values_left(name, screened) for name in self.axes}
        found = product(self.base, kept, self.bench.inspect(self.base).facts)
        return list(dict.fromkeys([best, *found]))

    def halve(self, settings: list[Settings]) -> list[Settings]:
        """Rounds of growing time over a shrinking field, while the budget lasts."""
        seconds = SHORTEST
        while len(settings) > 1 and self.left > self.budget * (SHARE_MATRIX + 0.2):
            found: dict[Settings, Measured] = {}
            for one in self.shuffled(settings):
                if self.left < self.budget * (SHARE_MATRIX + 0.1) and found:
                    break
                found[one] = self.measure(one, seconds)
            settings = survivors(found)
            if len(found) <= KEPT:
                break
            seconds *= KEPT
        return settings

    def confirm(self, finalists: list[Settings]) -> None:
        """Measure the best once more for longer, with their verdicts, and the smallest worker counts beside them."""
        facts = self.bench.inspect(self.base).facts
        smallest = product(self.base, {"num_workers": sorted(self.axes["num_workers"])[:2]}, facts)
        for one in dict.fromkeys([*finalists[:KEPT], *smallest]):
            self.measure(one, self.confirming_seconds, self.verdict_seconds)

    @property
    def confirming_seconds(self) -> float:
        """Seconds of driving for each of the last settings: depends on the budget alone, so that a resume finds it."""
        return min(4.0, max(2 * SHORTEST, self.budget / 30))

    @property
    def verdict_seconds(self) -> float:
        """Seconds for the four runs of a verdict, likewise."""
        return min(10.0, max(1.0, self.budget / 15))

    def explain(self) -> None:
        """The matrix of arguments, while there is time."""
        seen = self.bench.inspect(self.base)
        for change in matrix.changes(self.base, seen.facts, seen.has):
            if self.left <= 0:
                return
            self.report(f"what {change.argument} changes")
            samples = self.bench.verdict_samples(change.settings, self.verdict_seconds / 2)
            answer = partial(matrix.effect, self.bench, self.base, change, samples)
            more = {"argument": change.argument, "samples": samples}
            self.effects.append(self.ask("argument", change.settings, answer, **more))

    def compare(self, settings: Settings) -> None:
        """The best settings with a cold page cache, peers, the shards of distributed training, while there is time."""
        for kind, name, seconds, answer in self.comparisons(settings):
            if self.left > seconds:
                self.report(name)
                self.others.append(self.ask(kind, settings, answer, name=name))

    def comparisons(self, settings: Settings) -> Iterator[tuple[str, str, float, Callable[[], Record]]]:
        """Kind and name of each line beside the rows, the seconds that it may take, and how to measure it."""
        bench, facts = self.bench, self.bench.inspect(self.base).facts
        if bench.inspect(settings).files:
            yield "cold", "the first reading from disk", SECONDS_FOR_A_PEER, partial(self.cold, settings)
        for peer in peers.PEERS:
            answer = partial(peers.measure, bench, peer, settings, self.confirming_seconds)
            yield "peer", f"the peer {peer}", SECONDS_FOR_A_PEER, answer
        if not facts.iterable and facts.length:
            answer = partial(distributed.measure, bench)
            yield "distributed", "the shards of DistributedSampler", SECONDS_FOR_TORCHRUN, answer

    def cold(self, settings: Settings) -> Record:
        """The line of these settings after the kernel was asked to forget the dataset's files."""
        row = replace(self.bench.blank(settings), kind="cold")
        return asdict(self.bench.time(row, self.confirming_seconds, cold=True))


def values_left(name: str, screened: dict[Settings, Measured]) -> list[Any]:
    """The values of one argument that may still be the best: those that are not certainly slower than the fastest."""
    by_value: dict[Any, Measured] = {}
    for one, row in screened.items():
        value = getattr(one, name)
        if value not in by_value or row.ranked_rate > by_value[value].ranked_rate:
            by_value[value] = row
    order = sorted(by_value, key=lambda value: -by_value[value].ranked_rate)
    top = by_value[order[0]]
    near = [value for value in order if by_value[value].ranked_rate and by_value[value].overlaps(top)]
    if name == "in_order" and True in near:
        return [True]  # what reorders the data must be certainly faster to be worth a try
    return near[:VALUES_KEPT] or order[:1]


def survivors(found: dict[Settings, Measured]) -> list[Settings]:
    """The better third, and up to as many again that are statistically tied with the best, fastest first."""
    order = sorted((one for one in found if found[one].ranked_rate), key=lambda one: -found[one].ranked_rate)
    if not order:
        return []
    third = order[: max(1, len(order) // KEPT)]
    close = [one for one in order[len(third) :] if found[one].overlaps(found[order[0]])]
    return [*third, *close[: len(third)]]
