"""One run of the gate, from two revisions to an outcome, whatever fails on the way."""

from __future__ import annotations

import tomllib
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lossimpl.measure import wall
from reports.gate import explain, instructions, quality, reasons
from reports.gate.design import RATE, Design
from reports.gate.outcome import Change, Fault, Outcome, RowOutcome
from reports.gate.processes import say, side_by_side
from reports.gate.selection import affordable, spread_out
from reports.gate.session import Session
from reports.gate.sides import Side, Unmeasurable, build, commit_of, run
from reports.gate.touched import touched
from reports.record.rows import Row

EFFECT = 0.05  # smaller changes of time are not reported
RESERVED = 0.1  # of the budget, for the explanation
PROCESS_SHARE = 300  # a row may take a 300th of the budget in one process: 3 s of 15 minutes
CHECK_WITHIN, COUNT_WITHIN = 0.3, 0.5  # of the budget: when checking and counting end at the latest


@dataclass(frozen=True)
class Plan:
    """What the user asked for; `silence` is how many seconds a benchmark process may take to answer."""

    repository: Path
    base: str
    head: str = "HEAD"
    budget: float = 900.0
    everything: bool = False
    silence: float = 300.0
    seed: int = 0


@dataclass
class Draft:
    """The outcome while it grows; an interrupted run reports what is here."""

    plan: Plan
    started: float = field(default_factory=wall.now)
    base: str = ""
    head: str = ""
    session: Session | None = None
    design: Design[Row] = field(default_factory=lambda: Design([], EFFECT, RATE))
    changes: dict[Row, tuple[Change, ...]] = field(default_factory=dict)
    counted: dict[Row, dict[str, float]] = field(default_factory=dict)
    why: dict[Row, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    one_sided: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        """The outcome so far."""
        return Outcome(
            base=self.base or self.plan.base,
            head=self.head or self.plan.head,
            effect=EFFECT,
            rate=RATE,
            budget_seconds=self.plan.budget,
            spent_seconds=wall.now() - self.started,
            rows=tuple(self._row(row) for row in {**self.changes, **self.design.progress}),
            faults=(*self.faults, *(self.session.faults if self.session else ())),
            one_sided=tuple(self.one_sided),
            left_out=tuple(self.left_out),
            environment=tuple(self.environment),
            commits=tuple(self.commits),
            notes=tuple(self.notes),
        )

    def _row(self, row: Row) -> RowOutcome:
        assert self.session is not None
        verdict, pairs = self._design_of(row).verdict(row), self.session.pairs[row]
        codes = [*reasons.of_row(verdict, pairs.base, pairs.head, EFFECT), *reasons.of_machine(self.session.machine)]
        device = pairs.device_medians()
        clock = verdict.verdict in ("slower", "faster") and reasons.clock_alone(device, EFFECT)
        return RowOutcome(
            benchmark=row.benchmark,
            params=row.params,
            verdict="inconclusive" if clock else verdict.verdict,
            ratio=verdict.estimate.ratio,
            low=verdict.estimate.low,
            high=verdict.estimate.high,
            p_value=verdict.estimate.p_value,
            pairs=verdict.pairs,
            detectable=verdict.detectable,
            pairs_needed=verdict.pairs_needed,
            reasons=tuple(dict.fromkeys([*codes, *(["clock-throttled"] if clock else [])])),
            changes=(*self.changes.get(row, ()), *instructions.change(self.counted.get(row, {}))),
            instructions=self.counted.get(row, {}),
            device=device,
            base_seconds=tuple(pairs.base),
            head_seconds=tuple(pairs.head),
            base_first=tuple(pairs.base_first),
            why=self.why.get(row, {}),
        )

    def _design_of(self, row: Row) -> Design[Row]:
        """The design of the run, or an empty one for a row that was never timed."""
        return self.design if row in self.design.progress else Design([row], EFFECT, RATE)


def compare(plan: Plan, folder: Path) -> Outcome:
    """Compare two revisions, which are built in the empty `folder`."""
    draft = Draft(plan)
    try:
        _build(draft, folder)
        measure(draft, folder)
    except Unmeasurable as error:
        draft.faults.append(Fault("", "", str(error)))
    except Exception as error:  # a bug of the gate must not look like a regression
        draft.faults.append(Fault("", "", f"{type(error).__name__}: {error}"))
        draft.notes += traceback.format_exc().splitlines()
    except KeyboardInterrupt:
        draft.faults.append(Fault("", "", "interrupted; only what was measured until then is reported"))
    return draft.outcome()


def _build(draft: Draft, folder: Path) -> None:
    """Build both sides; base runs the benchmarks of head, so that both measure the same."""
    plan = draft.plan
    draft.base, draft.head = commit_of(plan.repository, plan.base), commit_of(plan.repository, plan.head)
    draft.commits = explain.commits(plan.repository, draft.base, draft.head)
    say(f"building {draft.base[:8]} and {draft.head[:8]}")
    base, head = side_by_side(
        lambda: build(plan.repository, "base", draft.base, folder),
        lambda: build(plan.repository, "head", draft.head, folder),
    )
    draft.session = Session(replace(base, suite=head.suite), head, plan.silence, plan.seed)
    draft.started = wall.now()


def measure(draft: Draft, folder: Path) -> None:
    """Choose the rows, check them, count their instructions, time them in pairs, explain slower ones."""
    session, plan = draft.session, draft.plan
    assert session is not None
    base, head = session.sides["base"], session.sides["head"]
    draft.environment = explain.environment(session)
    rows = _chosen(draft, _comparable(draft, session, replace(base, suite=base.folder / "suite")), head)
    say(f"checking {len(rows)} rows")
    known = _checked(session, rows, draft.started + CHECK_WITHIN * plan.budget)
    failed = {fault.row for fault in session.faults}
    draft.left_out += [str(row) for row in rows if not all(row in one for one in known) and str(row) not in failed]
    rows = [row for row in rows if all(row in one for one in known)]
    draft.changes = {row: quality.changes(known[0][row], known[1][row]) for row in rows}
    correct = [row for row in rows if all(one[row].get("status") not in quality.WRONG for one in known)]
    draft.notes += [f"{row} gives wrong results, and was not timed" for row in rows if row not in correct]
    timed = [row for row in correct if _process_seconds(known[1][row]) <= plan.budget / PROCESS_SHARE]
    draft.left_out += [str(row) for row in correct if row not in timed]
    _count(draft, base, head, [row for row in timed if _is_short(known[1][row])], folder)
    draft.design = Design(timed, EFFECT, RATE)
    session.measure(draft.design, draft.started + (1 - RESERVED) * plan.budget)
    draft.why = explain.explained(session, known, [row for row in timed if _costs_more(draft, row)])


def _checked(session: Session, rows: list[Row], until: float) -> list[dict[Row, quality.Record]]:
    """The records of base and head; they are not about time, so both sides can run at once."""
    base, head = session.sides.values()
    return side_by_side(lambda: session.check(base, rows, until), lambda: session.check(head, rows, until))


def _costs_more(draft: Draft, row: Row) -> bool:
    """Whether a row became slower or needs more instructions."""
    more = any(change.worse for change in instructions.change(draft.counted.get(row, {})))
    return more or draft.design.verdict(row).verdict == "slower"


def _comparable(draft: Draft, session: Session, base_alone: Side) -> list[Row]:
    """The rows that both sides can run; those that only one has are noted."""
    on_head, on_base = session.names(session.sides["head"]), session.names(session.sides["base"])
    own = session.names(base_alone)
    gone = {row.benchmark for row in own} - {row.benchmark for row in on_head}
    new = {row.benchmark for row in on_head} - {row.benchmark for row in own}
    draft.one_sided += [f"{name}: only base has it{_renamed(name, own, on_head, new)}" for name in sorted(gone)]
    draft.one_sided += [f"{name}: only head has it" for name in sorted(new)]
    for row, refusal in on_head.items():
        if row in on_base and (refusal is None) != (on_base[row] is None):
            side = "head" if refusal is None else "base"
            draft.one_sided.append(f"{row}: runs on {side} only: {refusal or on_base[row]}")
    return [row for row, refusal in on_head.items() if refusal is None and on_base.get(row, "") is None]


def _renamed(name: str, own: dict[Row, str | None], on_head: dict[Row, str | None], new: set[str]) -> str:
    """A guess at the new name: a benchmark that only head has, with the same parameters."""
    params = {row.params for row in own if row.benchmark == name}
    twins = [other for other in sorted(new) if {row.params for row in on_head if row.benchmark == other} == params]
    return f"; renamed to {twins[0]}?" if twins else ""


def _chosen(draft: Draft, rows: list[Row], head: Side) -> list[Row]:
    """The rows that the diff can affect and that fit the budget."""
    plan = draft.plan
    if not plan.everything:
        changed = run(["git", "diff", "--name-only", draft.base, draft.head], plan.repository).stdout.splitlines()
        affected = touched(rows, changed, head.source, package_of(head.source))
        draft.notes.append(f"the diff can affect {len(affected)} of {len(rows)} rows")
        rows = affected
    chosen = list(affordable(spread_out(rows), plan.budget))
    draft.left_out = [str(row) for row in rows if row not in set(chosen)]
    return chosen


def package_of(source: Path) -> str:
    """The import name of the project that a revision's pyproject.toml names."""
    try:
        name: str = tomllib.loads((source / "pyproject.toml").read_text())["project"]["name"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise Unmeasurable(f"pyproject.toml does not name the project: {error}") from error
    return name.replace("-", "_")


def _process_seconds(record: quality.Record) -> float:
    """The approximate time of one process for a slow row: up to the first call, warm-up, three batches of one call.

    A row that measures itself has recorded its own time.
    """
    if "seconds" in record:
        return float(record["seconds"])
    first: float = record.get("first_call_seconds") or 0.0
    fastest: float = min(record.get("samples") or [0.0])
    return first + 6 * fastest


def _is_short(record: quality.Record) -> bool:
    return bool(record.get("samples")) and min(record["samples"]) <= instructions.MOST_SECONDS


def _count(draft: Draft, base: Side, head: Side, rows: list[Row], folder: Path) -> None:
    rows = instructions.countable(rows)
    until = draft.started + COUNT_WITHIN * draft.plan.budget
    absent = instructions.unavailable() or ("" if rows else "no row is short enough")
    if absent:
        draft.notes.append(f"no instructions were counted: {absent}")
        return
    say(f"counting the instructions of {len(rows)} rows")
    counts, notes = instructions.count_sides(base, head, rows, folder / "instructions", until)
    draft.notes += notes
    draft.counted = {row: instructions.compared(row, counts) for row in rows}
