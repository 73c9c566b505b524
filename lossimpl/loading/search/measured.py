"""The rows of a search: one per setting and round, and one that stands for all rounds of a setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from lossimpl.loading.row import Row
from lossimpl.ranking import median_interval

OF_VERDICT = (
    "verdict",
    "verdict_reason",
    "notes",
    "digest",
    "verdict_samples",
    "verdict_whole",
    "status",
    "reason",
    "advice",
)


@dataclass(frozen=True)
class Measured(Row):
    """A row of a search: `budget` seconds of driving were asked for in round `number`; `key` finds it in the store.

    A row that stands for all rounds of its settings has their rates by round in `rounds`.
    """

    key: str = ""
    budget: float = 0.0
    number: int = 0
    rounds: tuple[tuple[int, float], ...] = ()


def merged(rows: Sequence[Measured]) -> Measured:
    """The row that stands for all rounds of one setting: the last good one, with the median rate over the rounds.

    A setting that failed in any round has failed.
    """
    failed = [row for row in rows if not row.ranked_rate]
    if failed:
        return failed[-1]
    warnings = max((row.warnings for row in rows), key=len)  # the others say the same in other numbers
    stalls = [row.stall_fraction for row in rows if row.stall_fraction is not None]
    known: dict[str, Any] = {"stall_fraction": median(stalls) if stalls else None, "warnings": warnings}
    found = replace(rows[-1], rounds=tuple((row.number, row.ranked_rate) for row in rows), **known)
    if len(rows) == 1:
        return found
    middle, low, high = median_interval([row.ranked_rate for row in rows])
    return replace(found, epoch_rate=middle, epoch_rate_low=low, epoch_rate_high=high)


def with_verdict(row: Measured, judged: Measured | None) -> Measured:
    """The row with the verdict of another one of the same settings."""
    return row if judged is None else replace(row, **{name: getattr(judged, name) for name in OF_VERDICT})
