"""One pair of fresh processes, base and head, whose forks take turns of a few milliseconds.

Both processes import at the same time. For each row both fork, and the forks are timed in the order base, head, head,
base, and so on, never at once: a busy neighbour, a clock that changes or a drift disturbs both sides alike. The time of
a side is a low quantile of its batches, since interruptions only add. The pair gives one ratio per row; what differs
between processes, such as the layout of memory, is drawn again with the next pair.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from lossimpl.measure import wall
from reports.gate.processes import Answer, Failure, Patience, Worker
from reports.gate.sides import Side
from reports.record.rows import Row

BATCH_SECONDS = 2e-3
TURNS = 12  # of each side, in pairs of turns: base, head, head, base
FEWEST_TURNS = 4
TURNS_SECONDS = 0.4  # for the turns of a row; slow calls have the fewest turns
QUANTILE = 0.25
ENVIRONMENT = {
    "GOMP_SPINCOUNT": "2000",  # threads of the side that waits must not keep a core busy
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # a pool of compilers would be forked along
}


@dataclass
class Times:
    """The seconds per call of one side in one pair, and the medians of what a GPU's clock shows."""

    seconds: float
    device: dict[str, float] = field(default_factory=dict)


class Alternation:
    """A pair of processes; `failure` says why it ended early, `lost` why the last row could not be measured.

    Both name the side. `over` is set when the time is up.
    """

    def __init__(self, sides: Mapping[str, Side], rows: list[Row], patience: Patience, coin: random.Random) -> None:
        self.patience, self.coin = patience, coin
        self.failure: tuple[str, Failure] | None = None
        self.lost: tuple[str, Failure] | None = None
        self.over = False
        self._forked: set[str] = set()  # the sides with a fork that has not ended
        self._workers: dict[str, Worker] = {}
        jobs = [[row.benchmark, row.params] for row in rows]
        for name, side in sides.items():
            self._workers[name] = Worker(side.python, side.environment | ENVIRONMENT)
            self._workers[name].send({"task": "pairs", "suite": str(side.suite), "rows": jobs})

    def __enter__(self) -> Alternation:
        for side in self._workers:
            self._hear(side, None)
        self.failure = self.lost
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers.values():
            worker.end()

    def measure(self, row: Row) -> tuple[Times, Times, bool] | None:
        """The times of base and head for one row, and whether base had the first turn; None if one side failed."""
        self.lost = None
        for worker in self._workers.values():
            worker.send({"row": [row.benchmark, row.params]})
        self._forked = set(self._workers)
        ready = {side: self._hear(side, row, "seconds", "error") for side in self._workers}
        order = self.coin.choice([["base", "head"], ["head", "base"]])
        found = self._turns(row, order, max(one["seconds"] for one in ready.values())) if self._good(ready) else None
        self._end_forks(row)
        if found is None or self.lost:
            return None
        return found["base"], found["head"], order[0] == "base"

    def _turns(self, row: Row, order: list[str], seconds: float) -> dict[str, Times] | None:
        number = max(1, round(BATCH_SECONDS / max(seconds, 1e-9)))
        heard: dict[str, list[Answer]] = {side: [] for side in order}
        started = wall.now()
        for turn in range(TURNS):
            if turn >= FEWEST_TURNS and wall.now() - started > TURNS_SECONDS:
                break
            for side in order if turn % 2 == 0 else reversed(order):
                self._workers[side].send({"number": number})
                answer = self._hear(side, row, "seconds", "error")
                if not self._good({side: answer}):
                    return None
                heard[side].append(answer)
        return {side: _times(answers) for side, answers in heard.items()}

    def _end_forks(self, row: Row) -> None:
        """End the forks that have not ended by themselves."""
        for side in sorted(self._forked):
            if not self.failure and not self.over:
                self._workers[side].send({"number": 0})
                self._hear(side, row, "ended")

    def _good(self, answers: dict[str, Answer]) -> bool:
        return all("seconds" in one for one in answers.values())

    def _hear(self, side: str, row: Row | None, *wanted: str) -> Answer:
        """The next answer of a side that has one of the wanted fields; {} if there is none, with the reason kept."""
        while True:
            answer = self._workers[side].receive(self.patience, row)
            if answer is None:
                self.over = True
                return {}
            if isinstance(answer, Failure):
                self.failure = self.lost = (side, answer)
                return {}
            if "error" in answer:
                self.lost = (side, Failure("error", answer["error"], row))
                self._hear(side, row, "ended")
                return {}
            self._forked -= {side} if "ended" in answer else set()
            if "ended" in answer and "ended" not in wanted:
                self.lost = (side, self._workers[side].death(answer["ended"], row))
                return {}
            if (not wanted and "ready" in answer) or any(one in answer for one in wanted):
                return answer


def _times(answers: list[Answer]) -> Times:
    kinds: tuple[str, ...] = ("device_seconds", "cycles")
    device = {kind: statistics.median(one[kind] for one in answers) for kind in kinds if kind in answers[0]}
    return Times(float(np.quantile([one["seconds"] for one in answers], QUANTILE)), device)
