"""One round: all implementations of a case, timed in turns in random order in this process, with its ceiling.

Call it in a fresh process. What differs between processes, such as memory layout, page placement and what else runs, is
a part of every time, and only rounds in processes of their own show how large that part is.

A wrong implementation is not timed, an unavailable one has a reason, and an impossible time is refused; each is a row
all the same, so that no row is missing from a table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from lossimpl import registry
from lossimpl.candidates import Candidate, Report, Setting, prepare, silent
from lossimpl.measure import ceilings, clock, roofline, threads
from lossimpl.measure.types import Rule, Timing
from lossimpl.row import Row
from lossimpl.spec import Case

RULE = Rule(max_seconds=0.15, min_samples=3, max_samples=25, warmup_seconds=0.01)  # a round gives one number
LONGER = (0.3, 1.0)  # seconds for which the ceiling is sought further where a time exceeds it
CEILING = ""  # the name under which it takes turns with the implementations


def measure_round(
    case: Case,
    implementations: Sequence[str],
    number: int = 1,
    rule: Rule = RULE,
    checked: Collection[str] = (),
    report: Report = silent,
) -> list[Row]:
    """The rows of one round, in the order of `implementations`, each with at most one `Round`.

    The order of measuring is random, and the same for the same case and number. The implementations in `checked` agreed
    in an earlier round: neither agreement nor memory is measured again, and their rows lack both. `report` is called
    with `began` and with `calls` and the name of an implementation, when its turn comes and before its first call.
    Raises ValueError for a loss or an implementation that does not exist; any later error becomes a row.
    """
    loss = registry.get(case.loss)
    for name in implementations:
        if name not in loss.implementations:
            existing = ", ".join(loss.implementations)
            raise ValueError(f"implementations: expected some of {existing} for {loss.name}, got {name!r}")
    threads.fix()
    setting = Setting(loss, case, number, rule, report)
    order = random.Random(f"{case.key} {number}")
    candidates = {name: Candidate(setting, setting.head(name)) for name in implementations}
    shuffled = order.sample([*candidates.values()], len(candidates))
    prepare(shuffled, checked)
    search = ceilings.Search(case.device, loss.traffic(case))
    ready = {one.row.implementation: one for one in shuffled if one.row.status == "ok"}
    found = timings(setting, ready, search, order)
    for position, (name, timing) in enumerate(found.items(), start=1):
        ready[name].attempt(ready[name].timed, timing, position)
        if name not in checked:
            ready[name].attempt(ready[name].count_memory)
    return _with_ceilings([one.row for one in candidates.values()], search)


def warm(case: Case, implementation: str) -> None:
    """Do all that the first round does before its clock starts, so that compilers fill their caches.

    What goes wrong is not reported; the round that follows will record it in its row.
    """
    threads.fix()
    setting = Setting(registry.get(case.loss), case, 0, RULE)
    prepare([Candidate(setting, setting.head(implementation))], checked=())


def timings(
    setting: Setting, candidates: Mapping[str, Candidate], search: ceilings.Search, order: random.Random
) -> dict[str, Timing | Exception]:
    """The timings of the candidates; those that turn out to change their inputs are wrong from here on."""
    calls = {name: one.call for name, one in candidates.items() if one.call}
    if not calls:
        return {}
    versions = setting.versions()
    found = _in_turns(setting, calls, search, order)
    if versions != setting.versions():
        for one in candidates.values():
            one.attempt(one.call_again)
    return found


def _in_turns(
    setting: Setting, calls: Mapping[str, Callable[[], object]], search: ceilings.Search, order: random.Random
) -> dict[str, Timing | Exception]:
    """The timings of calls; on a CPU they and the search for the ceiling take turns."""
    if setting.case.device != "cpu":
        return {name: _timed_alone(setting, call) for name, call in calls.items()}
    turns = {name: clock.Turns(call, setting.rule) for name, call in calls.items()}
    found = clock.time_in_turns({**turns, CEILING: clock.Turns(search.turn, setting.rule)}, order)
    return {name: found[name] for name in calls}


def _timed_alone(setting: Setting, call: Callable[[], object]) -> Timing | Exception:
    try:
        return clock.time_calls(call, setting.case.device, setting.rule, graph=setting.case.mode == "graph")
    except Exception as error:  # as in a round on a CPU
        return error


def _with_ceilings(rows: list[Row], search: ceilings.Search) -> list[Row]:
    """The rows with the ceiling of the round; impossible times are refused.

    For a time beyond the ceiling, the ceiling is sought longer: a shared machine may be twice as fast a second later.
    """
    timed = [row for row in rows if row.rounds]
    if not timed:
        return rows
    for seconds in LONGER:
        if not any(_impossible(row, search) for row in timed):
            break
        search.go_on(seconds)
    return [_held_against(row, search) for row in rows]


def _impossible(row: Row, search: ceilings.Search) -> str:
    return roofline.impossible(row.traffic, row.rounds[0].seconds, search.found.of(row.mode)[1])


def _held_against(row: Row, search: ceilings.Search) -> Row:
    name, best = search.found.of(row.mode)
    rounds = tuple(replace(one, ceiling=best) for one in row.rounds)
    row = replace(row, rounds=rounds, ceiling_name=name, level=search.found.level)
    impossible = _impossible(row, search) if rounds else ""
    return replace(row, status="impossible", reason=impossible) if impossible else row
