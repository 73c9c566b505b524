"""One run of the gate, from two revisions to an outcome, whatever fails on the way."""

from __future__ import annotations

import tomllib
import traceback
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

from lossimpl import building
from lossimpl.building import Unmeasurable, commit_of, run
from lossimpl.measure import wall
from reports.gate import diff, effects, explain, judge, kernels, sides
from reports.gate.diff import Changed
from reports.gate.draft import Draft, Plan
from reports.gate.environments import specification
from reports.gate.outcome import Fault, Outcome
from reports.gate.processes import say, side_by_side
from reports.gate.representatives import grouped, is_typical, spread
from reports.gate.session import Session
from reports.gate.sides import Side
from reports.gate.touched import BUILD_FILES, touched
from reports.record.rows import Row

EVERYTHING = Changed("everything")  # stands for a change that every row executes


def compare(plan: Plan, folder: Path) -> Outcome:
    """Compare two revisions, which are built in the empty `folder`."""
    draft = Draft(plan)
    try:
        _compare(draft, folder)
    except Unmeasurable as error:
        draft.faults.append(Fault("", "", str(error)))
    except Exception as error:  # a bug of the gate must not look like a regression
        draft.faults.append(Fault("", "", f"{type(error).__name__}: {error}"))
        draft.notes += traceback.format_exc().splitlines()
    except KeyboardInterrupt:
        draft.faults.append(Fault("", "", "interrupted; only what was measured until then is reported"))
    return draft.outcome()


def _compare(draft: Draft, folder: Path) -> None:
    """Find what differs, build both sides, find the rows in reach, and judge one of each group."""
    plan = draft.plan
    draft.base, draft.head = commit_of(plan.repository, plan.base), commit_of(plan.repository, plan.head)
    draft.commits = explain.commits(plan.repository, draft.base, draft.head)
    package = package_of(plan.repository, draft.head)
    changed = diff.changes(plan.repository, draft.base, draft.head, (package, "benchmarks", *BUILD_FILES))
    if not changed and not plan.everything and not plan.environments:
        draft.notes.append("no code that a benchmark executes differs: nothing was built or measured")
        return
    session = _built(draft, folder, changed)
    rows = _comparable(draft, session, any(one.path.startswith("benchmarks/") for one in changed))
    if any(not fault.row for fault in session.faults):
        return  # a side that cannot be imported has no rows
    _reach(draft, session, rows, changed)
    say(draft.notes[-1])
    if plan.environments:
        _compare_hard_cases(draft, session)
    draft.build_seconds, draft.started = wall.now() - draft.started, wall.now()
    draft.environment = explain.environment(*(session.manifests.get(name, {}) for name in ("base", "head")))
    judge.judge(draft, folder)
    if plan.environments:
        base, head = ({row: one.record for row, one in known.items()} for known in draft.known.values())
        draft.effects += effects.effects(session, base, head, draft.counted)


def _reach(draft: Draft, session: Session, rows: list[Row], changed: list[Changed]) -> None:
    """Find the rows in reach of the diff, which are all for another environment, and those that stand for them."""
    plan = draft.plan
    package = package_of(plan.repository, draft.head)
    affecting = touched(rows, changed, session.sides["head"].source, package)
    if plan.everything or plan.environments:
        affecting = {row: [EVERYTHING] for row in rows}
    draft.affecting = _with_kernels(draft, session, affecting)
    draft.groups = grouped(draft.affecting)
    if plan.environments and not plan.everything:
        draft.groups = spread(one for one in draft.groups if is_typical(one.representative))
        draft.notes.append("float32 steps stand for other types and modes; --all measures those too")
    what = "the environments" if plan.environments else "the diff"
    draft.notes.append(f"{what} can reach {len(affecting)} of {len(rows)} rows in {len(draft.groups)} groups")


def _compare_hard_cases(draft: Draft, session: Session) -> None:
    say("comparing the hard cases")
    try:
        draft.effects.append(effects.conformance(session))
    except Unmeasurable as error:
        draft.notes.append(f"the hard cases were not compared: {error}")


def _built(draft: Draft, folder: Path, changed: list[Changed]) -> Session:
    """Build both sides; base runs the benchmarks of head, so that both measure the same."""
    plan = draft.plan
    wanted = {"base": specification(plan.base_with), "head": specification(plan.head_with)}
    say(f"building {draft.base[:8]} and {draft.head[:8]}; the budget begins afterwards")
    for name, commit in (("base", draft.base), ("head", draft.head)):
        building.export(plan.repository, commit, folder / name / "source")

    def build(name: str, commit: str) -> Side | None:
        return sides.install(
            name, commit, folder / name, any(one.path.endswith(diff.CPP) for one in changed), wanted[name]
        )

    def check() -> Side | None:
        sides.check_import(folder / "head" / "source")
        error = kernels.first_error(folder / "head" / "source", [one.path for one in changed])
        if error:
            raise Unmeasurable(f"build head: {error}")
        return None

    head, base, _ = side_by_side(lambda: build("head", draft.head), lambda: build("base", draft.base), check)
    assert head is not None
    assert base is not None
    draft.session = Session(replace(base, suite=head.suite), head, plan.silence, plan.seed)
    return draft.session


def _comparable(draft: Draft, session: Session, suites_differ: bool) -> list[Row]:
    """The rows that both sides can run; those that head has lost are noted."""
    base, head = session.sides["base"], session.sides["head"]
    asked = [head, base, *([replace(base, suite=base.folder / "suite")] if suites_differ else [])]
    on_head, on_base, *rest = side_by_side(*(partial(session.names, side) for side in asked))
    own = rest[0] if rest else on_base
    draft.removed += _removed(own, on_head, on_base)
    new = {row.benchmark for row in on_head} - {row.benchmark for row in own}
    draft.notes += [f"{name}: only head has it" for name in sorted(new)]
    added = [row for row in on_head if on_head[row] is None and on_base.get(row) is not None]
    draft.notes += [f"{row}: runs on head only: {on_base[row]}" for row in added]
    return [row for row, refusal in on_head.items() if refusal is None and on_base.get(row, "") is None]


def _removed(own: dict[Row, str | None], on_head: dict[Row, str | None], on_base: dict[Row, str | None]) -> list[str]:
    """The rows that base can run and head cannot, by benchmark and implementation; renamed benchmarks are compared."""
    renamed = {row.params for row in on_head if row.benchmark not in {one.benchmark for one in own}}
    lost = {row: "head lacks it" for row, refusal in own.items() if refusal is None and row not in on_head}
    lost = {row: why for row, why in lost.items() if row.params not in renamed} if on_head else {}
    refused = {row: f"head refuses: {why}" for row, why in on_head.items() if why and on_base.get(row, "") is None}
    gone: dict[str, list[Row]] = defaultdict(list)
    for row, why in (lost | refused).items():
        gone[f"{row.benchmark} {row.implementation}: {why}"].append(row)
    return [f"{what} ({len(rows)} rows, such as `{rows[0]}`)" for what, rows in gone.items()]


def _with_kernels(draft: Draft, session: Session, affecting: dict[Row, list[Changed]]) -> dict[Row, list[Changed]]:
    """Compile the kernels of both sides; sources that give the same machine code affect no row."""
    native = next((row for row in affecting if row.implementation == "native" and row.device == "cpu"), None)
    if native is None:
        return affecting
    libraries = []
    for side in session.sides.values():  # head after base, so that it compiles only what differs
        say(f"loading the kernels of {side.name}; compiling them takes minutes if this machine has not done so before")
        answers = session.ask(side, "prepare", [native])
        error = next((one["error"] for one in answers.received if "error" in one), str(answers.failure or ""))
        if error:
            raise Unmeasurable(f"compile the kernels of {side.name}: {building.first_lines(error)}")
        libraries.append(next(one["libraries"] for one in answers.received if "libraries" in one))
    if libraries[0] != libraries[1] or not libraries[0]:
        return affecting
    draft.notes.append("the kernels of both revisions are the same machine code")
    kept = {row: [one for one in found if not one.path.endswith(diff.CPP)] for row, found in affecting.items()}
    return {row: found for row, found in kept.items() if found}


def package_of(repository: Path, commit: str) -> str:
    """The import name of the project that a revision's pyproject.toml names."""
    text = run(["git", "show", f"{commit}:pyproject.toml"], repository).stdout
    try:
        name: str = tomllib.loads(text)["project"]["name"]
    except (KeyError, tomllib.TOMLDecodeError) as error:
        raise Unmeasurable(f"pyproject.toml does not name the project: {error}") from error
    return name.replace("-", "_")
