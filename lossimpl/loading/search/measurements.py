"""What a search has measured, each question asked once and kept in the store, and what the next measurement costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lossimpl.loading import deadlines
from lossimpl.loading.bench import Bench
from lossimpl.loading.data.verdict import STRICT
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.search.measured import Measured, merged, with_verdict
from lossimpl.loading.search.race import Race
from lossimpl.loading.search.store import Record, Store
from lossimpl.loading.settings import Settings
from lossimpl.measure.wall import now

SHORTEST, LONGEST = 0.2, 0.6  # seconds of driving per row

Report = Callable[[str], None]


def silent(what: str) -> None:
    """Report nothing."""
    del what


@dataclass(kw_only=True)
class Measurements:
    """The rows and verdicts of one search over one dataset, within `budget` seconds from `started`.

    `base` holds the settings that are not varied. `report` is called with what is measured next, `show` with each row.
    """

    bench: Bench
    base: Settings
    budget: float
    store: Store = field(default_factory=Store)
    report: Report = silent
    show: Callable[[Measured], None] | None = None
    started: float = field(default_factory=now)
    rows: list[Measured] = field(default_factory=list)
    race: Race = field(default_factory=Race)
    judged: dict[Settings, Measured] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.started + self.budget - now()

    @property
    def seen(self) -> Inspection:
        """What the inspection found; nothing where it was interrupted."""
        return self.bench.inspected.get(self.base.batch_size, Inspection(Outcome()))

    @property
    def driving(self) -> float:
        """Seconds of driving per row; they depend on the budget alone, so that a resumed search finds its rows."""
        return min(LONGEST, max(SHORTEST, self.budget / 200))

    @property
    def verdict_seconds(self) -> float:
        """Seconds for the runs of a verdict; they depend on the budget alone."""
        return min(10.0, max(0.5, self.budget / 15))

    def cost(self, settings: Settings) -> float:
        """Expected seconds of another row of these settings."""
        known = [row.seconds for row in self.of(settings) if row.seconds]
        return max(known) if known else 1.3 * self.bench.timing_seconds(settings, self.driving)

    def verdict_cost(self, settings: Settings) -> float:
        """Expected seconds of the verdict on these settings, including the reference where it was not read yet."""
        samples = self.bench.verdict_samples(settings, self.verdict_seconds)
        sides = {settings, replace(settings.without_workers(), pin_memory=False)}
        new = [one for one in sides if (one, samples) not in self.bench.delivered]
        seen, imports = self.bench.inspect(settings), self.bench.zygote.start_seconds
        return sum(2 * deadlines.fingerprint(one, seen, samples, imports) for one in new)

    def ask(self, kind: str, settings: Settings, answer: Callable[[], Record], **more: Any) -> Record:
        """The stored answer to this question, else a new one."""
        bench = self.bench
        fixed = {"dataset": bench.dataset, "step": bench.step, "consumer": bench.consumer, "seed": bench.seed}
        return self.store.answer({"kind": kind, "scenario": asdict(settings), **fixed, **more}, answer)

    def measure(self, settings: Settings, number: int) -> Measured:
        """The row of these settings in round `number`."""
        self.report(settings.text)
        seconds = self.driving

        def answer() -> Record:
            known = any(row.stall_fraction is not None for row in self.of(settings))
            row = self.bench.measure(settings, seconds, verdict_seconds=0.0, stall=not known)
            return {**asdict(row), "budget": seconds, "number": number}

        found = Measured.from_record(self.ask("measurement", settings, answer, budget=seconds, number=number))
        if found.cut and self.of(settings):
            return found  # the budget has ended, which says nothing about settings that were measured before
        self.rows.append(found)
        self.race.note(settings, number, found.ranked_rate)
        if self.show is not None:
            self.show(found)
        return found

    def judge(self, settings: Settings) -> Measured:
        """The row of all rounds of these settings with the verdict on their data; wrong data are out of the race.

        A verdict that the end of the budget cut short does not count.
        """
        if settings in self.judged:
            return self.judged[settings]
        self.report(f"the data of {settings.text}")
        samples = self.bench.verdict_samples(settings, self.verdict_seconds)

        def answer() -> Record:
            row = self.bench.explained(self.bench.judge(merged(self.of(settings)), samples))
            return {**asdict(row), "budget": self.driving}

        rounds = len(self.of(settings))
        found = Measured.from_record(self.ask("verdict", settings, answer, samples=samples, rounds=rounds))
        if found.cut:
            return found
        self.judged[settings] = found
        if found.status != "ok":
            self.race.out.add(settings)
        return found

    @property
    def good(self) -> list[Measured]:
        """The judged rows that may be the answer."""
        return [row for row in self.judged.values() if row.status == "ok" and row.verdict in STRICT]

    def of(self, settings: Settings) -> list[Measured]:
        """All rows of these settings."""
        return [row for row in self.rows if row.settings == settings]

    def merged_rows(self) -> list[Measured]:
        """One row per setting for all its rounds, with its verdict if there is one."""
        tried = dict.fromkeys(row.settings for row in self.rows)
        return [with_verdict(merged(self.of(one)), self.judged.get(one)) for one in tried]
