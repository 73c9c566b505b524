"""The measurements inside the budget: trace and check the rows, count instructions, time in pairs, explain changes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lossimpl import wording
from lossimpl.measure import wall
from reports.gate import diff, explain, history, instructions
from reports.gate.design import FIRST_LOOK, RATE, Design
from reports.gate.draft import EFFECT, Draft
from reports.gate.processes import say, side_by_side
from reports.gate.representatives import regime_of
from reports.gate.session import Known, Session
from reports.gate.touched import executes
from reports.record.rows import Row
from reports.statistics.power import detectable_ratio

RESERVED = 0.05  # of the budget, for the explanation
TRACE_WITHIN, CHECK_WITHIN, COUNT_WITHIN = 0.4, 0.4, 0.5  # of the time that is left: the most that each may take
MOST_EFFECT = 0.15  # on a machine where smaller changes of time cannot be shown within the budget
NOISE_PAIRS = 4
MOST_MEMBERS = 24  # rows of changed groups that are measured besides the representatives
MOST_EXPLAINED = 8


def judge(draft: Draft, folder: Path) -> None:
    """Judge the representative of each group, then more rows of the groups that changed."""
    _recall(draft)
    representatives = sorted((group.representative for group in draft.groups), key=_cost)
    end = draft.started + (1 - RESERVED) * draft.plan.budget
    _measure(draft, representatives, folder / "representatives", end)
    members = [row for group in draft.groups if _changed(draft, group.representative) for row in group.rows[1:]]
    if members and wall.now() < end:
        say(f"measuring {min(len(members), MOST_MEMBERS)} of {len(members)} other rows of the groups that changed")
        _measure(draft, members[:MOST_MEMBERS], folder / "members", end)
    changed = [row for row in draft.known["head"] if draft.is_checked(row) and _changed(draft, row)]
    _explain(draft, changed[:MOST_EXPLAINED], folder)


def _recall(draft: Draft) -> None:
    """Read what main's history says about rows, if this machine has a record of the merge base."""
    try:
        draft.noise = history.of(draft.plan.repository, draft.base)
    except (OSError, ValueError) as error:
        draft.notes.append(f"the record of main narrows nothing: {error}")


def _cost(row: Row) -> tuple[bool, bool]:
    """The order in which rows are measured: those that compile or stream from memory take the longest and come last."""
    return "compiled" in row.implementation, regime_of(row) == "memory"


def _measure(draft: Draft, rows: list[Row], folder: Path, end: float) -> None:
    """Trace, check, count and time some rows, as far as the time goes."""
    session = draft.session
    assert session is not None
    folder.mkdir()
    _trace(draft, session, rows, wall.now() + TRACE_WITHIN * (end - wall.now()))
    _check(draft, session, _to_check(draft, rows), wall.now() + CHECK_WITHIN * (end - wall.now()))
    right = [row for row in rows if draft.is_right(row) and row not in draft.identical]
    _count(draft, session, right, folder, wall.now() + COUNT_WITHIN * max(0.0, end - wall.now()))
    timed = [row for row in right if not instructions.identical(draft.counted.get(row, {})) and not draft.follows(row)]
    if timed and wall.now() < end:
        _time(draft, session, timed, end)


def _trace(draft: Draft, session: Session, rows: list[Row], until: float) -> None:
    """See which functions each row executes; note the rows that execute identical code.

    One commit in two environments executes the same functions, which says nothing about their times.
    """
    if draft.base == draft.head and draft.plan.environments:
        for known in draft.known.values():
            known.update({row: Known() for row in rows})
        return
    say(f"tracing {len(rows)} rows")
    base, head = session.sides.values()
    found = side_by_side(lambda: session.trace(base, rows, until), lambda: session.trace(head, rows, until))
    for known, one in zip(draft.known.values(), found, strict=True):
        known.update(one)
    refused = {row for row in rows if all(row in one and one[row].refusal for one in found)}
    draft.groups = [group for group in draft.groups if group.representative not in refused]
    if refused:
        draft.notes.append(f"{len(refused)} groups cannot run on this machine, on either side")
    lost = [row for row in rows if row in found[1] and found[1][row].refusal and row not in refused]
    draft.removed += [f"{row}: runs on base only: {found[1][row].refusal}" for row in lost]
    draft.identical |= {row for row in rows if draft.is_checked(row) and _runs_identical_code(draft, row)}


def _to_check(draft: Draft, rows: list[Row]) -> list[Row]:
    """The rows whose results or bytes can have changed.

    Those of `memory` need no check: the shapes of `cache` show the same errors, and bytes in the same proportion. Rows
    that execute nothing that changed are checked only if some changed function is executed by no row at all: it may
    make inputs or judge results.
    """
    checked = [row for row in rows if draft.is_checked(row) and regime_of(row) != "memory"]
    ran = {
        row: frozenset().union(*(one[row].setup | one[row].executed for one in draft.known.values())) for row in checked
    }
    seen = frozenset().union(*ran.values())
    changed = {one for row in checked for one in draft.affecting.get(row, ())}
    if any(one.more or any((one.path, name) not in seen for name in one.functions) for one in changed):
        return checked
    return [row for row in checked if executes(draft.affecting.get(row, ()), ran[row])]


def _check(draft: Draft, session: Session, rows: list[Row], until: float) -> None:
    """Check the rows on both sides at once, since this is not about time; drop those not reached."""
    if rows:
        say(f"checking {len(rows)} rows")
    base, head = session.sides.values()
    found = side_by_side(lambda: session.check(base, rows, until), lambda: session.check(head, rows, until))
    for known, records in zip(draft.known.values(), found, strict=True):
        for row in rows:
            if row in records:
                known[row].record = records[row]
            else:
                del known[row]


def _runs_identical_code(draft: Draft, row: Row) -> bool:
    """Whether the row's call executes the same functions on both sides, and nothing that changed.

    Nobody sees what a loader's workers execute.
    """
    if row.measures_itself:
        return False
    base, head = (known[row].executed for known in draft.known.values())
    return bool(head) and base == head and not executes(draft.affecting.get(row, ()), base | head)


def _count(draft: Draft, session: Session, rows: list[Row], folder: Path, until: float) -> None:
    rows = instructions.countable(rows)
    absent = instructions.unavailable() if rows else None
    if absent:
        draft.notes.append(f"no instructions were counted: {absent}")
    if absent or not rows:
        return
    say(f"counting the instructions of {len(rows)} rows")
    base, head = session.sides.values()
    counts, notes = instructions.count_sides(base, head, rows, folder / "instructions", until)
    draft.notes += notes
    draft.counted |= {row: found for row in rows if (found := instructions.compared(row, counts))}


def _time(draft: Draft, session: Session, rows: list[Row], end: float) -> None:
    """Time rows in pairs; the first few show the noise, and with it the change of time that the budget can show."""
    design: Design[Row] = Design(rows, draft.effect, RATE)
    draft.designs.append(design)
    if draft.reachable is None:
        draft.reachable = reachable(session, design, end)
        draft.effect = min(MOST_EFFECT, max(EFFECT, math.ceil(100 * min(draft.reachable, MOST_EFFECT)) / 100))
        design.effect = draft.effect
        text = wording.percent(draft.reachable) if math.isfinite(draft.reachable) else "nothing"
        say(f"on this machine, now, I can see a change of time of {text} in {(end - wall.now()) / 60:.1f} minutes")
    unsteady = [row for row in rows if draft.is_unsteady(row)]
    if unsteady:
        draft.notes.append(
            f"{len(unsteady)} rows scatter too much on this machine, by main's record of {draft.base[:8]} and before: "
            "timed further only where a first look is suspicious"
        )
    session.measure(design, end, [row for row in rows if draft.settled(row) or row in unsteady])


def reachable(session: Session, design: Design[Row], end: float) -> float:
    """The smallest change of time, as a share, that pairs until `end` can show beside the noise of the first ones.

    The noise is the spread of a row's ratios about their mean, which a real change does not widen.
    """
    started = wall.now()
    for _ in range(NOISE_PAIRS):
        if wall.now() < end:
            session.pair(design, end)
    ratios = [np.array(one.screened) for one in design.progress.values() if len(one.screened) == NOISE_PAIRS]
    if not ratios:
        return math.inf
    noise = float(np.median([one.std(ddof=1) for one in ratios]))
    pairs = NOISE_PAIRS + int((end - wall.now()) * NOISE_PAIRS / (wall.now() - started))
    return detectable_ratio(noise, pairs, RATE) - 1 if pairs >= FIRST_LOOK else math.inf


def _changed(draft: Draft, row: Row) -> bool:
    """Whether a row became slower or faster, or changed in another respect."""
    if not draft.is_checked(row):
        return False
    return bool(draft.changes(row)) or draft.design_of(row).verdict(row).verdict in ("slower", "faster")


def _explain(draft: Draft, rows: list[Row], folder: Path) -> None:
    """Where the changed rows spend more, and the hunks of the diff that they execute."""
    session = draft.session
    assert session is not None
    slower = [row for row in rows if draft.design_of(row).verdict(row).verdict == "slower"]
    until = draft.started + draft.plan.budget
    found = explain.explained(session, slower, until) if slower else {}
    for row in rows:
        executed = {one for known in draft.known.values() for one in known[row].executed}
        hunks = diff.likely(draft.affecting.get(row, ()), executed)
        counted = (folder / stage / "instructions" / "0" for stage in ("representatives", "members"))
        functions = [one for place in counted for one in instructions.moved(place / "base", place / "head", row)]
        draft.why[row] = found.get(row, {}) | {
            "functions": functions,
            "hunks": [f"{hunk.path}\n{hunk.text}" for hunk in hunks[: diff.MOST_HUNKS]],
        }
