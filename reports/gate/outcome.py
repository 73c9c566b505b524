"""Everything that is known when the gate ends, every pair included, and its exit code; kept as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from reports.record.rows import Row

FORMAT = 1  # of the JSON; what reads it refuses others
FINE, REGRESSION, UNMEASURED, UNDECIDED = 0, 1, 2, 3
RANKS = ("data", "agreement", "errors", "peak_bytes", "saved_bytes", "instructions", "time")  # the gravest first


@dataclass(frozen=True)
class Change:
    """A change without noise: of agreement, peak memory, saved bytes or instructions, and whether it is worse."""

    what: str
    base: float | None
    head: float | None
    worse: bool
    text: str


@dataclass(frozen=True)
class Effect:
    """What another environment changes besides times: of `rows` compared, `differ` are not the same; `text` names some.

    `rows` are rows of the benchmarks, or hard cases. `differ` is None where no row alone can be judged.
    """

    what: str
    rows: int
    differ: int | None
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
    """One row: its verdict with everything that it is based on, its other changes, and why it became slower.

    `decided` says by what the row was decided: identical code, instructions or time; it is empty if it was not.

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
    decided: str = ""
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

    @property
    def rank(self) -> int:
        """The place of its gravest regression in `RANKS`; a row without one comes last."""
        kinds = [change.what if change.what in RANKS else "errors" for change in self.changes if change.worse]
        kinds += ["time"] if self.verdict == "slower" else []
        return min(map(RANKS.index, kinds), default=len(RANKS))


@dataclass(frozen=True)
class Covered:
    """A group of rows that execute the same code: its name, the row measured for it, how many rows it stands for.

    `decided` is by what its representative was decided, empty if it was not; `missing` why it was not even measured.
    """

    name: str
    representative: str
    rows: int
    decided: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Outcome:
    """One run of the gate.

    `groups` are all groups of rows in reach of the change, `removed` rows that only base has, `build_seconds` what
    building took before the budget began, `reachable` the smallest change of time that the budget can show. `base_with`
    and `head_with` are the environments asked for, `environment` is how the manifests of the sides differ (fact, on
    base, on head), and `effects` what the environments change besides times.
    """

    base: str
    head: str
    effect: float
    rate: float
    budget_seconds: float
    spent_seconds: float
    build_seconds: float = 0.0
    reachable: float | None = None
    rows: tuple[RowOutcome, ...] = ()
    groups: tuple[Covered, ...] = ()
    faults: tuple[Fault, ...] = ()
    removed: tuple[str, ...] = ()
    base_with: str = ""
    head_with: str = ""
    environment: tuple[tuple[str, str, str], ...] = ()
    effects: tuple[Effect, ...] = ()
    commits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Covered, ...]:
        """The groups whose representative was not measured."""
        return tuple(group for group in self.groups if group.missing)

    @property
    def undecided(self) -> tuple[Covered, ...]:
        """The groups whose representative was measured and is not decided."""
        return tuple(group for group in self.groups if not group.decided and not group.missing)

    @property
    def coverage(self) -> float:
        """The share of the groups in reach that are decided; 1 if no row is in reach."""
        return sum(bool(group.decided) for group in self.groups) / len(self.groups) if self.groups else 1.0

    @property
    def exit_code(self) -> int:
        """1 if a row or a hard case regressed, 2 if something was not measured, 3 if something is undecided, else 0."""
        if any(row.regressed for row in self.rows) or any(effect.worse for effect in self.effects):
            return REGRESSION
        if self.faults or self.removed or self.missing:
            return UNMEASURED
        return UNDECIDED if self.undecided else FINE

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; numbers that are not finite (no interval yet) are null."""
        values: dict[str, Any] = plain(asdict(self))
        return {"format": FORMAT, **values}


def plain(value: Any) -> Any:
    """A value as JSON: lists, objects, and null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
