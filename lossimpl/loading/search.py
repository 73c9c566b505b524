"""The search within a time budget: screen one argument at a time, then successive halving over what is left.

Screening finds, for each argument, the values that are surely slower; only combinations of the others are tried. They
start with short measurements in random order, and after each round the better third goes on with three times the time
(Jamieson and Talwalkar 2016). What is never dropped: a setting whose interval overlaps that of the best. The last
part of the budget goes to the verdicts on the data and to the matrix of arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lossimpl.loading import answer, beside, matrix
from lossimpl.loading.bench import Bench
from lossimpl.loading.settings import Settings
from lossimpl.loading.space import Axes, one_at_a_time, product
from lossimpl.loading.store import Record, Store
from lossimpl.measure.wall import now

SHORTEST = 0.25  # seconds of driving in the first round
SHARE_MATRIX = 0.25  # of the budget, for the matrix of arguments
KEPT = 3  # one of so many goes on
SECONDS_FOR_A_PEER, SECONDS_FOR_TORCHRUN = 5.0, 10.0
VALUES_KEPT = 2  # of each argument after the screening


def silent(what: str) -> None:
    """Tell nobody."""
    del what


@dataclass
class Search:
    """A search over one dataset. `tell` hears what is done next; `store` keeps what was found."""

    bench: Bench
    base: Settings
    axes: Axes
    budget: float
    store: Store = field(default_factory=Store)
    tell: Callable[[str], None] = silent
    rows: list[Record] = field(default_factory=list)
    effects: list[Record] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    started: float = field(default_factory=now)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.started + self.budget - now()

    def run(self) -> None:
        """All of it; what was found so far is in `rows` and `effects` at any moment, an interrupt included."""
        finalists = self.find()
        self.explain()
        self.compare((finalists or [self.base])[0])

    def find(self) -> list[Settings]:
        """The settings that were confirmed, the fastest of the short measurements first."""
        finalists = self.halve(self.candidates(self.screen()))
        self.confirm(finalists)
        return finalists

    def measure(self, settings: Settings, seconds: float, verdict_seconds: float = 0.0) -> Record:
        """One row, from the store where it is there already."""
        self.tell(settings.text)
        asked = {**self.bench.blank(settings), "budget": seconds, "verdict_seconds": verdict_seconds}
        row = self.store.answer(
            asked, lambda: {**self.bench.measure(settings, seconds, verdict_seconds), "budget": seconds}
        )
        self.rows.append(row)
        return row

    def shuffled(self, settings: Sequence[Settings]) -> list[Settings]:
        """In an order that does not follow the values, so that a drift of the machine favours none of them."""
        return random.Random(self.bench.seed).sample(list(settings), len(settings))

    def screen(self) -> dict[Settings, Record]:
        """The workers first, then each other argument from the best number of workers."""
        facts = self.bench.facts(self.base)
        counts = product(self.base, {"num_workers": self.axes["num_workers"]}, facts)
        found = {one: self.measure(one, SHORTEST) for one in self.shuffled(counts)}
        with_workers = {one: row for one, row in found.items() if one.num_workers} or found
        start = max(with_workers, key=lambda one: rate(with_workers[one]))
        others = {name: values for name, values in self.axes.items() if name != "num_workers"}
        singles = self.shuffled([one for one in one_at_a_time(start, others, facts) if one not in found])
        for one in sorted(singles, key=lambda one: one.multiprocessing_context is not None):  # the slow starters last
            if self.left < self.budget / 2:
                break
            found[one] = self.measure(one, SHORTEST)
        return found

    def candidates(self, screened: dict[Settings, Record]) -> list[Settings]:
        """The combinations of the values that the screening did not show to be slower."""
        best = max(screened, key=lambda one: rate(screened[one]))
        kept = {name: self.values_left(name, screened) for name in self.axes}
        found = product(self.base, kept, self.bench.facts(self.base))
        return list(dict.fromkeys([best, *found]))

    def values_left(self, name: str, screened: dict[Settings, Record]) -> list[Any]:
        """The values of one argument that may still be the best: the default, and those not surely slower."""
        by_value: dict[Any, Record] = {}
        for one, row in screened.items():
            value = getattr(one, name)
            if value not in by_value or rate(row) > rate(by_value[value]):
                by_value[value] = row
        order = sorted(by_value, key=lambda value: -rate(by_value[value]))
        top = by_value[order[0]]
        near = [value for value in order if rate(by_value[value]) and answer.overlap(by_value[value], top)]
        if name == "in_order" and True in near:
            return [True]  # what reorders the data must be surely faster to be worth a try
        return near[:VALUES_KEPT] or order[:1]

    def halve(self, settings: list[Settings]) -> list[Settings]:
        """Rounds of growing time over a shrinking field, while the budget lasts."""
        seconds = SHORTEST
        while len(settings) > 1 and self.left > self.budget * (SHARE_MATRIX + 0.2):
            found: dict[Settings, Record] = {}
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
        smallest = {"num_workers": sorted(self.axes["num_workers"])[:2]}
        for one in dict.fromkeys([*finalists[:KEPT], *product(self.base, smallest, self.bench.facts(self.base))]):
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
        for change in self.changes():
            if self.left <= 0:
                return
            self.tell(f"what {change.argument} changes")
            samples = self.bench.verdict_samples(change.settings, self.verdict_seconds / 2)
            asked = {"kind": "argument", "argument": change.argument, **asdict(change.settings), "samples": samples}
            asked["dataset"] = self.bench.dataset
            ask = lambda change=change, samples=samples: matrix.effect(self.bench, self.base, change, samples)  # noqa: E731
            self.effects.append(self.store.answer(asked, ask))

    def compare(self, settings: Settings) -> None:
        """The best settings on a cold page cache, peers, the shards of distributed training, while there is time."""
        if self.bench.has_files(settings) and self.left > SECONDS_FOR_A_PEER:
            self.tell("the first reading from the disk")
            asked = {**self.bench.blank(settings), "kind": "cold"}
            self.others.append(
                self.store.answer(asked, lambda: beside.cold(self.bench, settings, self.confirming_seconds))
            )
        for peer in beside.PEERS:
            if self.left > SECONDS_FOR_A_PEER:
                self.tell(f"the peer {peer}")
                asked = {**self.bench.blank(settings), "kind": "peer", "peer": peer}
                ask = lambda peer=peer: beside.peer(self.bench, peer, settings, self.confirming_seconds)  # noqa: E731
                self.others.append(self.store.answer(asked, ask))
        facts = self.bench.facts(self.base)
        if self.left > SECONDS_FOR_TORCHRUN and not facts.iterable and facts.length:
            self.tell("the shards of DistributedSampler")
            asked = {"kind": "distributed", "dataset": self.bench.dataset}
            self.others.append(self.store.answer(asked, lambda: beside.shards(self.bench)))

    def changes(self) -> Iterator[matrix.Change]:
        """The steps of the matrix for this workload."""
        seen = self.bench.inspect(self.base).first("facts") or {}
        yield from matrix.changes(self.base, self.bench.facts(self.base), seen.get("has", {}))


def rate(row: Record) -> float:
    """Samples per second over whole epochs; 0 for what must not be ranked."""
    return float(row.get("epoch_rate") or 0.0) if row["status"] == "ok" else 0.0


def survivors(found: dict[Settings, Record]) -> list[Settings]:
    """The better third, and whoever cannot be told from the best of them, fastest first."""
    order = sorted((one for one in found if rate(found[one])), key=lambda one: -rate(found[one]))
    if not order:
        return []
    third = order[: max(1, len(order) // KEPT)]
    close = [one for one in order[len(third) :] if answer.overlap(found[one], found[order[0]])]
    return [*third, *close[: len(third)]]
