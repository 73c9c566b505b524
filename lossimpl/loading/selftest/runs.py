"""The runs of an experiment, each stored as it ends, so that an experiment goes on where it was left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from lossimpl.loading.search.search import Report, silent
from lossimpl.loading.search.store import Record, Store, key_of
from lossimpl.measure.wall import now


class OutOfTime(Exception):
    """The time for this call is over; the runs that are left are for the next one."""


@dataclass
class Runs:
    """Does what the store does not hold yet, for about so many `seconds`."""

    store: Store = field(default_factory=Store)
    seconds: float = math.inf
    report: Report = silent
    started: float = field(default_factory=now)
    new: int = 0

    def do(self, question: Record, run: Callable[[], Record], expected: float) -> Record:
        """The stored result of a run, else a new one; at least one new run is done in each call.

        Raises OutOfTime where the `expected` seconds are not left.
        """
        if key_of(question) not in self.store.records:
            if self.new and now() - self.started + expected > self.seconds:
                raise OutOfTime
            self.report(", ".join(f"{name} {value}" for name, value in question.items()))
            self.new += 1
        return self.store.answer(question, run)
