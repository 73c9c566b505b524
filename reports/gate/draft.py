"""The outcome while it grows; an interrupted run reports what is here, and names the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossimpl.measure import wall
from reports.gate import history, instructions, quality, reasons
from reports.gate.design import RATE, Design
from reports.gate.diff import Changed
from reports.gate.outcome import Change, Covered, Effect, Fault, Outcome, RowOutcome
from reports.gate.representatives import Group, regime_of
from reports.gate.session import Known, Session
from reports.record.rows import Row

EFFECT = 0.05  # smaller changes of time are not reported


@dataclass(frozen=True)
class Plan:
    """What the user asked for; `silence` is how many seconds a benchmark process may take to answer.

    `base_with` and `head_with` specify the environments of the sides, see `reports.gate.environments`.
    """

    repository: Path
    base: str
    head: str = "HEAD"
    budget: float = 900.0
    everything: bool = False
    silence: float = 180.0
    seed: int = 0
    base_with: str = ""
    head_with: str = ""

    @property
    def environments(self) -> bool:
        """Whether the sides have environments of their own, which every row can depend on."""
        return bool(self.base_with or self.head_with)


@dataclass
class Draft:
    """Everything known so far. `known` holds what each side answered when the rows were traced and checked."""

    plan: Plan
    started: float = field(default_factory=wall.now)
    base: str = ""
    head: str = ""
    build_seconds: float = 0.0
    effect: float = EFFECT
    reachable: float | None = None
    session: Session | None = None
    groups: list[Group] = field(default_factory=list)
    affecting: dict[Row, list[Changed]] = field(default_factory=dict)
    known: Mapping[str, dict[Row, Known]] = field(default_factory=lambda: {"base": {}, "head": {}})
    identical: set[Row] = field(default_factory=set)
    designs: list[Design[Row]] = field(default_factory=list)
    counted: dict[Row, dict[str, float]] = field(default_factory=dict)
    noise: dict[Row, float] = field(default_factory=dict)  # by main's history on this machine
    why: dict[Row, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    environment: list[tuple[str, str, str]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        """The outcome so far."""
        rows = {row: self._row(row) for row in self.known["head"] if self.is_checked(row)}
        return Outcome(
            base=self.base or self.plan.base,
            head=self.head or self.plan.head,
            effect=self.effect,
            rate=RATE,
            budget_seconds=self.plan.budget,
            spent_seconds=wall.now() - self.started,
            build_seconds=self.build_seconds,
            reachable=self.reachable,
            rows=tuple(rows.values()),
            groups=tuple(self._covered(group, rows.get(group.representative)) for group in self.groups),
            faults=(*self.faults, *(self.session.faults if self.session else ())),
            removed=tuple(self.removed),
            base_with=self.plan.base_with,
            head_with=self.plan.head_with,
            environment=tuple(self.environment),
            effects=tuple(self.effects),
            commits=tuple(self.commits),
            notes=tuple(self.notes),
        )

    def is_checked(self, row: Row) -> bool:
        """Whether both sides ran the row."""
        return all(row in known and not known[row].refusal for known in self.known.values())

    def is_right(self, row: Row) -> bool:
        """Whether both sides ran it with right results, so that its time means something."""
        return self.is_checked(row) and all(
            known[row].record.get("status") not in quality.WRONG for known in self.known.values()
        )

    def changes(self, row: Row) -> tuple[Change, ...]:
        """What changed in a row besides its time."""
        base, head = (known[row].record for known in self.known.values())
        return (*quality.changes(base, head), *instructions.change(self.counted.get(row, {})))

    def settled(self, row: Row) -> str:
        """By what a row is decided without its time: identical code, agreement or instructions; empty if it is not."""
        if not self.is_right(row):
            return "agreement"
        if row in self.identical:
            return "identical code"
        counted = self.counted.get(row, {})
        if instructions.settles(counted) or instructions.change(counted):
            return "instructions"
        return "instructions of smaller shapes" if self.follows(row) else ""

    def is_unsteady(self, row: Row) -> bool:
        """Whether main's history says that no number of pairs decides the row on this machine."""
        return row in self.noise and history.is_hopeless(self.noise[row], self.effect)

    def follows(self, row: Row) -> bool:
        """Whether the row streams from memory, and smaller shapes take the same instructions on both sides."""
        if regime_of(row) != "memory":
            return False
        smaller = [
            one
            for other, one in self.counted.items()
            if (other.benchmark, other.params[0], other.params[3:]) == (row.benchmark, row.params[0], row.params[3:])
        ]
        return bool(smaller) and all(map(instructions.identical, smaller))

    def design_of(self, row: Row) -> Design[Row]:
        """The design that measured a row, or an empty one for a row that was never timed."""
        return next((one for one in self.designs if row in one.progress), Design([row], self.effect, RATE))

    def _row(self, row: Row) -> RowOutcome:
        assert self.session is not None
        verdict, pairs = self.design_of(row).verdict(row), self.session.pairs[row]
        codes = [*reasons.of_row(verdict, pairs.base, pairs.head, self.effect)] if pairs.base else []
        codes += reasons.of_machine(self.session.machine) if pairs.base else []
        codes += ["unsteady"] if pairs.base and self.is_unsteady(row) else []
        device, shown, settled = pairs.device_medians(), verdict.verdict, self.settled(row)
        if shown in ("slower", "faster") and reasons.clock_alone(device, self.effect):
            shown, codes = "inconclusive", [*codes, "clock-throttled"]
        decided = "time" if shown != "inconclusive" else settled
        return RowOutcome(
            benchmark=row.benchmark,
            params=row.params,
            verdict="same" if shown == "inconclusive" and settled else shown,
            ratio=verdict.estimate.ratio,
            low=verdict.estimate.low,
            high=verdict.estimate.high,
            p_value=verdict.estimate.p_value,
            pairs=verdict.pairs,
            detectable=verdict.detectable,
            pairs_needed=verdict.pairs_needed,
            decided=decided,
            reasons=tuple(dict.fromkeys(codes)) if not decided else (),
            changes=self.changes(row),
            instructions=self.counted.get(row, {}),
            device=device,
            base_seconds=tuple(pairs.base),
            head_seconds=tuple(pairs.head),
            base_first=tuple(pairs.base_first),
            why=self.why.get(row, {}),
        )

    def _covered(self, group: Group, row: RowOutcome | None) -> Covered:
        """A group with what is known of its representative."""
        name = str(group.representative)
        if row is None:
            failed = any(fault.row == name for fault in (self.session.faults if self.session else ()))
            missing = "failed" if failed else "not reached within the budget"
        else:
            measured = row.decided or row.pairs or row.instructions
            missing = "" if measured else "not timed within the budget"
        return Covered(group.name, name, len(group.rows), row.decided if row else "", missing)
