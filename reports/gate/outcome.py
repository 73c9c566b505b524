"""Everything that is known when the gate ends, every pair included, and its exit code; kept as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from reports.record.rows import Row

FINE, REGRESSION, UNMEASURED, UNDECIDED = 0, 1, 2, 3


@dataclass(frozen=True)
class Change:
    """A change without noise: of agreement, peak memory, saved bytes or instructions, and whether it is worse."""

    what: str
    base: float | None
    head: float | None
    worse: bool
    text: str


@dataclass(frozen=True)
class Fault:
    """A row that could not be measured, or a whole step if `row` is empty, with the first lines of the error."""

    row: str
    side: str
    text: str


@dataclass(frozen=True)
class RowOutcome:
    """One row: its verdict by time with everything that it is based on, its other changes, and why it became slower.

    `base_seconds` and `head_seconds` are the times of the processes, pair by pair in chronological order, and
    `base_first` tells whether base ran first. `reasons` are the codes of `reports.gate.reasons`.
    """

    benchmark: str
    params: tuple[Any, ...]
    verdict: str
    ratio: float
    low: float
    high: float
    p_value: float
    pairs: int
    detectable: float
    pairs_needed: int
    reasons: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    instructions: dict[str, float] = field(default_factory=dict)
    device: dict[str, float] = field(default_factory=dict)
    base_seconds: tuple[float, ...] = ()
    head_seconds: tuple[float, ...] = ()
    base_first: tuple[bool, ...] = ()
    why: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """asv's name of the row."""
        return str(Row(self.benchmark, self.params))

    @property
    def regressed(self) -> bool:
        """Whether the row is slower or worse in any other respect."""
        return self.verdict == "slower" or any(change.worse for change in self.changes)


@dataclass(frozen=True)
class Outcome:
    """One run of the gate. `one_sided` are rows that only one revision has, `left_out` those beyond the budget."""

    base: str
    head: str
    effect: float
    rate: float
    budget_seconds: float
    spent_seconds: float
    rows: tuple[RowOutcome, ...] = ()
    faults: tuple[Fault, ...] = ()
    one_sided: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def exit_code(self, strict: bool = False) -> int:
        """1 if a row regressed, 2 if something could not be measured, 3 (strict) if a row is undecided, else 0."""
        if any(row.regressed for row in self.rows):
            return REGRESSION
        if self.faults:
            return UNMEASURED
        undecided = self.left_out or any(row.verdict == "inconclusive" for row in self.rows)
        return UNDECIDED if strict and undecided else FINE

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite (no interval yet) are null."""
        values: dict[str, Any] = plain(asdict(self))
        return values


def plain(value: Any) -> Any:
    """A value as JSON: lists, objects, and null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
