"""One row: an implementation of a case, with its agreement, and its time in each round of a session.

A round is one fresh process that times all implementations of a case; it gives one number per implementation. Rounds
that other processes disturbed are kept and marked. `combined` makes the session's row of the rows of single rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lossimpl.measure import roofline
from lossimpl.ranking import FEWEST_ROUNDS

FORMAT = 2  # of a stored row; format 1 has the samples of one process, and no rounds
DECISIVE = ("wrong", "unavailable")  # one round decides: neither depends on the clock


@dataclass(frozen=True)
class Round:
    """What one round measured of one implementation.

    `seconds` is the median of `samples` (seconds per call, `calls` of them per sample), `position` the place in the
    round's random order. `busy` says how the round was disturbed, or is empty. `ceiling` is the bandwidth that the same
    process measured, in bytes/s. `first_call_seconds` holds loading (import, build) and the first call (compile).
    `beside` holds what a GPU's clock records beside the samples.
    """

    number: int
    position: int
    seconds: float
    samples: tuple[float, ...]
    calls: int
    stop: str
    precision: float
    warmup_seconds: float
    first_call_seconds: float
    busy: str
    ceiling: float
    started_at: str
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One implementation of one case in one session; `dataclasses.asdict` makes it a line of a side-car.

    `status` is `ok`, `wrong`, `unavailable`, `impossible`, `disturbed` or `error`, and `reason` says why it is not
    `ok`. `ceiling_name` and `level` say which ceiling the rounds refer to: that of a copy or a read, for a working set
    that fits into that level. `checked_shape` is the shape on which agreement was checked. `manifest` names the
    environment, `session` the session.
    """

    loss: str
    implementation: str
    shape: str
    dtype: str
    device: str
    mode: str
    options: dict[str, Any]
    maker: str
    seed: int
    status: str = "ok"
    reason: str = ""
    rounds: tuple[Round, ...] = ()
    threads: int = 0
    protocol: str = ""
    agreement: dict[str, Any] | None = None
    checked_shape: str = ""
    traffic: int = 0
    ceiling_name: str = ""
    level: str = ""
    peak_bytes: int | None = None
    saved_bytes: int | None = None
    manifest: str = ""
    session: str = ""
    started_at: str = ""
    format: int = FORMAT

    @property
    def quiet(self) -> tuple[Round, ...]:
        """The rounds that nothing disturbed."""
        return tuple(one for one in self.rounds if not one.busy)

    @property
    def times(self) -> dict[int, float]:
        """Seconds per call by the number of the round: of the quiet rounds, or of all if the row is disturbed."""
        return {one.number: one.seconds for one in (self.rounds if self.status == "disturbed" else self.quiet)}

    @property
    def shares(self) -> dict[int, float]:
        """The share of the same round's ceiling by the number of the round, for the rounds of `times`."""
        ceilings = {one.number: one.ceiling for one in self.rounds}
        return {number: roofline.share(self.traffic, time, ceilings[number]) for number, time in self.times.items()}


def from_record(record: Mapping[str, Any]) -> Row:
    """The row that `dataclasses.asdict` made a record of, for what this program wrote itself; `stored` reads others."""
    values: dict[str, Any] = {"options": {}, "maker": "normal", "seed": 0}
    values |= {name: record[name] for name in Row.__dataclass_fields__ if name in record}
    return Row(**values | {"rounds": tuple(Round(**one) for one in record.get("rounds", ()))})


def combined(rows: Sequence[Row]) -> Row:
    """The row of a session from its rows of single rounds, in the order in which they were measured.

    It is `disturbed` if too few rounds were quiet, and otherwise has the status of at least half of the rounds.
    """
    first = next((row for row in rows if row.agreement), rows[0])
    decisive = next((row for row in rows if row.status in DECISIVE), None)
    if decisive is not None:
        return decisive
    failed = [row for row in rows if row.status != "ok"]
    rounds = tuple(one for row in rows for one in row.rounds)
    if 2 * len(failed) > len(rows):
        return replace(first, status=failed[0].status, reason=failed[0].reason, rounds=rounds)
    good = replace(
        first, status="ok", reason="", rounds=tuple(one for row in rows if row.status == "ok" for one in row.rounds)
    )
    busy = [one.busy for one in good.rounds if one.busy]
    if busy and len(good.quiet) < FEWEST_ROUNDS:
        reason = f"{len(busy)} of {len(good.rounds)} rounds were disturbed, the first because {busy[0]}"
        return replace(good, status="disturbed", reason=reason)
    return good
