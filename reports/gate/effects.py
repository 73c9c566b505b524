"""What another environment changes besides times: bits of results, hard cases, memory, first calls, instructions.

None of these scatters but the first call, of which there is one observation per row: its mean is reported, and is never
a regression. Rows whose bits differ from call to call on one side are not compared in these.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from lossimpl import bits, wording
from lossimpl.building import Unmeasurable
from lossimpl.measure import wall
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from reports.gate.outcome import Effect
from reports.gate.processes import side_by_side
from reports.gate.quality import BYTES, Record
from reports.gate.session import Session
from reports.gate.sides import Side
from reports.record.rows import Row

CONFORMANCE_SECONDS = 90.0  # for the hard cases of both sides at once, in addition to the budget
MOST_NAMED = 3
LOADING_SECONDS = 0.02  # a first call that takes less loads and compiles nothing
AGAIN_SECONDS = 60.0  # for checking those with other bits once more
Records = Mapping[Row, Record]
Pairs = Mapping[Row, tuple[Record, Record]]
Verdicts = dict[str, str]  # of hard cases, by their names


def effects(session: Session, base: Records, head: Records, counted: Mapping[Row, Mapping[str, float]]) -> list[Effect]:
    """The effects on rows that both sides checked."""
    pairs = {row: (base[row], head[row]) for row in head if row in base}
    found = [*_bits(pairs, _unsteady(session, pairs)), *_bytes(pairs), _first_calls(pairs), _instructions(counted)]
    return [one for one in found if one.rows]


def _unsteady(session: Session, pairs: Pairs) -> set[Row]:
    """The rows whose results differ between the sides, and also on base alone when they are checked once more."""
    rows = [row for row, (base, head) in pairs.items() if any(_differing(base, head).values())]
    again = session.check(session.sides["base"], rows, wall.now() + AGAIN_SECONDS) if rows else {}
    return {row for row, record in again.items() if any(_differing(pairs[row][0], record).values())}


def _results(record: Record) -> dict[str, bits.Bits]:
    found: dict[str, bits.Bits] = (record.get("agreement") or {}).get("bits") or {}
    return found


def _differing(base: Record, head: Record) -> dict[str, str]:
    before, after = _results(base), _results(head)
    return {name: bits.difference(before[name], after[name]) for name in before if name in after}


def _bits(pairs: Pairs, unsteady: Collection[Row]) -> Iterator[Effect]:
    """One effect for the value, and one for all gradients."""
    found: dict[str, dict[Row, str]] = defaultdict(dict)
    for row in (one for one in pairs if one not in unsteady):
        for name, words in _differing(*pairs[row]).items():
            kind = "value" if name == "value" else "gradients"
            found[kind][row] = words or found[kind].get(row, "")
    for kind, rows in found.items():
        changed = {row: words for row, words in rows.items() if words}
        yield Effect(f"bits of the {kind}", len(rows), len(changed), False, _named(changed))


def _bytes(pairs: Pairs) -> Iterator[Effect]:
    for field, what in BYTES.items():
        known = {row: (one.get(field), other.get(field)) for row, (one, other) in pairs.items()}
        known = {row: sizes for row, sizes in known.items() if None not in sizes}
        changed = {row: f"{then:,} -> {now:,} bytes" for row, (then, now) in known.items() if then != now}
        yield Effect(what, len(known), len(changed), False, _named(changed))


def _first_calls(pairs: Pairs) -> Effect:
    """The mean ratio of the seconds of loading and the first call, of rows that load or compile something."""
    both = ((_first_call(one), _first_call(other)) for one, other in pairs.values())
    ratios = [after / before for before, after in both if min(before, after) > LOADING_SECONDS]
    if len(ratios) < FEWEST_ROUNDS:
        return Effect("first call", 0, None, False, "")
    mean = over_rounds(ratios)
    text = f"head / base: {wording.times_interval(*mean)} on average over these rows"
    return Effect("first call", len(ratios), None, False, text)


def _first_call(record: Record) -> float:
    rounds = record.get("rounds") or [{}]
    return float(rounds[0].get("first_call_seconds") or 0.0)


def _instructions(counted: Mapping[Row, Mapping[str, float]]) -> Effect:
    ratios = {row: one["ratio"] for row, one in counted.items() if one}
    changed = {
        row: wording.change(ratio)
        for row, ratio in ratios.items()
        if abs(math.log(ratio)) > math.log1p(counted[row]["tolerance"])
    }
    return Effect("instructions", len(ratios), len(changed), False, _named(changed))


def _named(changed: Mapping[Any, str]) -> str:
    """The first rows that changed, with how."""
    named = [f"{row}: {how}" for row, how in list(changed.items())[:MOST_NAMED]]
    return "; ".join(named) + ("; ..." if len(changed) > MOST_NAMED else "")


def conformance(session: Session) -> Effect:
    """How the verdicts on the hard cases differ; a case that only base passes is a regression."""
    until = wall.now() + CONFORMANCE_SECONDS
    base, head = side_by_side(*(partial(_verdicts, session, side, until) for side in session.sides.values()))
    both = [name for name in head if name in base]
    changed = {name: f"{base[name]} -> {head[name]}" for name in both if base[name] != head[name]}
    worse = [name for name in changed if base[name] == "pass"]
    text = _named({name: changed[name] for name in [*worse, *changed]})
    if wall.now() > until:
        text = f"not all of them within {CONFORMANCE_SECONDS:.0f} s{'; ' if text else ''}{text}"
    return Effect("hard cases", len(both), len(changed), bool(worse), text)


def _verdicts(session: Session, side: Side, until: float) -> Verdicts:
    answers = session.ask(side, "conformance", until=until)
    if error := next((one["error"] for one in answers.received if "error" in one), str(answers.failure or "")):
        raise Unmeasurable(f"{side.name}: {error}")
    return {" ".join(one["case"]): one["status"] for one in answers.received if "case" in one}
