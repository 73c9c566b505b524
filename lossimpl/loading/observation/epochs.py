"""One observed epoch: waits and steps, and what its workers recorded, settled into sums when the epoch has ended."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lossimpl.loading.observation import timeline
from lossimpl.loading.observation.timeline import Wait
from lossimpl.loading.observation.tracing import Log, Made, processor_seconds
from lossimpl.measure.wall import now


def clock() -> array[float]:
    """A list of clock readings."""
    return array("d")


@dataclass
class Epoch:
    """An epoch as it goes on: `asked` and `came` of each step, in seconds of the clock.

    Once settled: `causes` of the waits in seconds; `made` batches with the `making` seconds they took, of which
    `making_processor` on the processor, each over all workers.
    """

    number: int
    workers: int = 0
    asked: array[float] = field(default_factory=clock)
    came: array[float] = field(default_factory=clock)
    in_order: bool = True
    made_here: list[Made] = field(default_factory=list)
    log: Log | None = None
    opening: float = 0.0
    ended: float = 0.0
    tail: tuple[float, float] = (0.0, 0.0)
    processor_before: float = 0.0
    processor: float = 0.0
    causes: dict[str, float] = field(default_factory=dict)
    made: int = 0
    making: float = 0.0
    making_processor: float = 0.0
    by_worker: dict[int, float] = field(default_factory=dict)

    @property
    def waits(self) -> list[float]:
        """The seconds that each step waited."""
        return [came - asked for asked, came in zip(self.asked, self.came, strict=True)]

    @property
    def steps(self) -> list[float]:
        """The seconds of each step, from its batch to the next request."""
        ends = [*self.asked[1:], self.tail[0]]
        return [end - came for came, end in zip(self.came, ends, strict=False)]

    @property
    def ending(self) -> float:
        """The wait at the end of the epoch, until the loader said that it was over."""
        return max(0.0, self.tail[1] - self.tail[0])

    def so_far(self) -> Epoch:
        """A copy of an epoch that goes on, settled as if it ended now."""
        log = self.log and replace(self.log, places=dict(self.log.places))
        asked, came, made = self.asked[:], self.came[: len(self.asked)], list(self.made_here)
        found = replace(self, asked=asked, came=came, made_here=made, log=log, ended=now(), tail=(now(),) * 2)
        found.settle(0.0)
        return found

    def settle(self, pinning: float) -> None:
        """Compute the sums, and forget the single records."""
        made: dict[int, list[Made]] = self.log.new() if self.log is not None else {}
        self.processor = processor_seconds() - self.processor_before
        if self.workers:
            self.causes = timeline.with_workers(self.pairs(made), made, pinning)
            records = [one for mine in made.values() for one in mine]
            self.by_worker = {worker: mean_seconds(mine) for worker, mine in made.items() if mine}
        else:
            self.causes = timeline.in_one_process(self.pairs({}), self.made_here)
            records = self.made_here
            early = min(self.opening, self.causes.get(timeline.LOADER, 0.0))
            self.causes |= {timeline.START: early, timeline.LOADER: self.causes.get(timeline.LOADER, 0.0) - early}
        if self.ending:
            self.causes[timeline.START] = self.causes.get(timeline.START, 0.0) + self.ending
        self.made, self.making = len(records), sum(one.ended - one.started for one in records)
        spent = map(processor_seconds_of, made.values()) if self.workers else (one.work for one in records)
        self.making_processor = sum(spent)
        self.made_here, self.log = [], None

    def pairs(self, made: Mapping[int, Sequence[Made]]) -> list[Wait]:
        """The waits with the worker of each."""
        order = timeline.turns(made) if self.in_order else timeline.by_end(made)
        workers = itertools.chain(order, itertools.repeat(None))
        return [Wait(asked, came, next(workers)) for asked, came in zip(self.asked, self.came, strict=True)]


def mean_seconds(records: Sequence[Made]) -> float:
    """The mean seconds of a batch."""
    return sum(one.ended - one.started for one in records) / len(records)


def processor_seconds_of(records: Sequence[Made]) -> float:
    """The processor seconds that a worker spent on its batches, sending them included: from its first record on."""
    spent = records[-1].processor - records[0].processor + records[0].work if records else 0.0
    return max(spent, sum(one.work for one in records))
