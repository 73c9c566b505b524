"""One round: all implementations of a case, timed in turns in random order in this process, with its ceiling.

Call it in a fresh process. What differs between processes, such as memory layout, page placement and what else runs, is
a part of every time, and only rounds in processes of their own show how large that part is.

A wrong implementation is not timed, an unavailable one has a reason, and an impossible time is refused; each is a row
all the same, so that no row is missing from a table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import prod
from statistics import median
from typing import Any

from lossimpl import environment, registry
from lossimpl.agreement import compare
from lossimpl.measure import ceilings, clock, memory, roofline, threads, wall, workload
from lossimpl.measure.types import Rule, Timing
from lossimpl.row import Round, Row
from lossimpl.spec import Case, Function, Loss, Unavailable

RULE = Rule(max_seconds=0.15, min_samples=3, max_samples=25, warmup_seconds=0.01)  # a round gives one number
LONGER = (0.3, 1.0)  # seconds for which the ceiling is sought further where a time exceeds it
CEILING = ""  # the name under which it takes turns with the implementations
Report = Callable[[str, str], object]  # of a stage, and the name of an implementation
CHECKED_ELEMENTS = 1 << 20  # a float64 oracle of a million elements takes a tenth of a second


def silent(stage: str, implementation: str) -> None:
    """Report nothing."""


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


@dataclass(frozen=True)
class Setting:
    """What the implementations of one round share."""

    loss: Loss
    case: Case
    number: int
    rule: Rule
    report: Report = silent

    @cached_property
    def inputs(self) -> workload.Inputs:
        """The inputs, made when the first implementation needs them."""
        return workload.inputs_of(self.loss, self.case)

    def versions(self) -> list[int]:
        """Counters of the inputs that grow with each change in place."""
        return [tensor._version for tensor in self.inputs.tensors]

    def head(self, implementation: str) -> Row:
        """The row before anything is measured."""
        case = self.case
        return Row(
            loss=case.loss,
            implementation=implementation,
            shape=case.shape_text,
            dtype=case.dtype,
            device=case.device,
            mode=case.mode,
            options=dict(case.options),
            maker=case.maker,
            seed=case.seed,
            threads=threads.fix(),
            traffic=self.loss.traffic(case),
            manifest=environment.manifest()["id"],
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


@dataclass
class Candidate:
    """An implementation in a round: its row, filled in step by step, and its call once it has run."""

    setting: Setting
    row: Row
    function: Function | None = None
    call: Callable[[], object] | None = None
    first_seconds: float = 0.0  # of loading and the first call

    def attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        """Take a step unless an earlier one failed; what it raises becomes the status of the row."""
        if self.row.status != "ok":
            return
        try:
            step(*arguments)
        except Unavailable as unavailable:
            self.end("unavailable", first_line(unavailable))
        except Exception as error:  # a plug-in or a compiler may raise anything, and the row records it
            self.end("error", f"{type(error).__name__}: {first_line(error)}")

    def end(self, status: str, reason: str) -> None:
        """The row has no time, for this reason."""
        self.row = replace(self.row, status=status, reason=reason, rounds=())

    def load(self) -> None:
        """Load the function; raises Unavailable where it cannot serve the case."""
        case, name = self.setting.case, self.row.implementation
        self.setting.report("began", name)
        chosen = self.setting.loss.implementations[name]
        reason = chosen.available(case.device) or chosen.serves(case)
        reason = reason or memory.shortage(prod(case.shape), name, case.dtype, case.device)
        if reason:
            raise Unavailable(reason)
        started = wall.now()
        self.function = chosen.load(case.device)
        self.first_seconds = wall.now() - started

    def call_first(self) -> None:
        """Call for the first time: a compiled implementation compiles here. The inputs are made before."""
        assert self.function is not None
        case, inputs, versions = self.setting.case, self.setting.inputs, self.setting.versions()
        self.setting.report("calls", self.row.implementation)
        started = wall.now()
        self.call = workload.prepare(self.function, inputs, case.mode)
        self.call()
        if case.device == "cuda":
            import torch

            torch.cuda.synchronize()
        self.first_seconds += wall.now() - started
        self.refuse_changes(versions)

    def call_again(self) -> None:
        """One more call, to find out whether this is the one that changes the inputs."""
        assert self.call is not None
        versions = self.setting.versions()
        self.call()
        self.refuse_changes(versions)

    def refuse_changes(self, versions: list[int]) -> None:
        """The row is wrong if the inputs have changed since they had these versions."""
        if versions != self.setting.versions():
            workload.drawn.cache_clear()  # the next case starts from the numbers as they were drawn
            self.end("wrong", "it changes its inputs, which the implementations of a round share")

    def check(self) -> None:
        """Compare with the oracle, on a bounded shape."""
        assert self.function is not None
        checked = bounded(self.setting.case)
        agreement = compare(self.setting.loss, self.function, checked)
        self.row = replace(self.row, agreement=asdict(agreement), checked_shape=checked.shape_text)
        if agreement.verdict != "ok":
            self.end("wrong", agreement.reason)

    def timed(self, timing: Timing | Exception, position: int) -> None:
        """Put the samples into the row as its round; raises what the call raised instead."""
        if isinstance(timing, Exception):
            raise timing
        beside = {name: value for name, value in vars(timing).items() if name not in Timing.__dataclass_fields__}
        made = Round(
            number=self.setting.number,
            position=position,
            seconds=median(timing.samples),
            samples=tuple(float(f"{sample:.5g}") for sample in timing.samples),
            calls=timing.number,
            stop=timing.stop,
            precision=timing.precision,
            warmup_seconds=timing.warmup_seconds,
            first_call_seconds=self.first_seconds,
            busy=timing.busy,
            ceiling=0.0,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            beside=beside,
        )
        cache = "cold" if beside.get("cold") else "warm"
        protocol = f"{cache} cache; {workload.MADE.get(self.row.mode, workload.AFRESH)}"
        self.row = replace(self.row, rounds=(made,), threads=timing.threads, protocol=protocol)

    def count_memory(self) -> None:
        """The bytes that a call takes at its peak, and those that it saves for backward."""
        assert self.call is not None
        peak, saved = memory.peak_and_saved(self.call, self.row.device, self.setting.inputs.tensors)
        self.row = replace(self.row, peak_bytes=peak, saved_bytes=saved)


def prepare(candidates: Sequence[Candidate], checked: Collection[str]) -> None:
    """Load and check all of them, those in `checked` apart, and run the call of each once.

    The first call comes before the check where both have one shape, so that its compilation is seen in its time. On
    another shape, all checks come first: code that was compiled for it has to be dropped.
    """
    for one in candidates:
        one.attempt(one.load)
        same_shape = bounded(one.setting.case) == one.setting.case
        if same_shape:
            one.attempt(one.call_first)
        if one.row.implementation not in checked:
            one.attempt(one.check)
    waiting = [one for one in candidates if one.call is None and one.row.status == "ok"]
    if any(one.row.agreement for one in waiting):
        workload.forget_compiled()
    for one in waiting:
        one.attempt(one.call_first)


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


def bounded(case: Case) -> Case:
    """The case itself, or the same with at most a million elements."""
    if prod(case.shape) <= CHECKED_ELEMENTS:
        return case
    return replace(case, shape=(max(1, CHECKED_ELEMENTS // prod(case.shape[1:])), *case.shape[1:]))


def first_line(error: Exception) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
