"""One round: all implementations of a case, timed back to back in random order in this process, with its ceiling.

Call it in a fresh process. What differs between processes, such as memory layout, page placement and what else runs, is
a part of every time, and only rounds in processes of their own show how large that part is.

A wrong implementation is not timed, an unavailable one has a reason, and an impossible time is refused; each is a row
all the same, so that no row is missing from a table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import prod
from statistics import median

from lossimpl import environment, registry
from lossimpl.agreement import Agreement, compare
from lossimpl.measure import ceilings, clock, memory, roofline, threads, wall, workload
from lossimpl.measure.types import Ceilings, Rule, Timing
from lossimpl.row import Round, Row
from lossimpl.spec import Case, Function, Loss, Unavailable

RULE = Rule(max_seconds=0.15, min_samples=1, max_samples=50, warmup_seconds=0.01)  # a round gives one number
EFFORTS = (0.005, 0.01, 0.3, 1.0)  # seconds per probe of the ceiling: before, after, and longer where a time exceeds it
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
    before = ceilings.measure(case.device, loss.traffic(case), EFFORTS[0])
    setting = Setting(loss, case, number, rule, report)
    order = random.Random(f"{case.key} {number}").sample(list(implementations), len(implementations))
    found = {name: _measured(setting, name, place, name in checked) for place, name in enumerate(order, start=1)}
    return _with_ceilings([found[name] for name in implementations], before)


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


def _measured(setting: Setting, name: str, position: int, checked: bool) -> Row:
    """The row of one implementation, without its ceiling."""
    setting.report("began", name)
    row, case, chosen = setting.head(name), setting.case, setting.loss.implementations[name]
    try:
        reason = chosen.available(case.device) or chosen.serves(case)
        reason = reason or memory.shortage(prod(case.shape), name, case.dtype, case.device)
        if reason:
            return replace(row, status="unavailable", reason=reason)
        return _checked_and_timed(setting, row, position, checked)
    except Unavailable as unavailable:
        return replace(row, status="unavailable", reason=first_line(unavailable))
    except Exception as error:  # a plug-in or a compiler may raise anything, and the row records it
        return replace(row, status="error", reason=f"{type(error).__name__}: {first_line(error)}")


def _checked_and_timed(setting: Setting, row: Row, position: int, checked: bool) -> Row:
    started = wall.now()
    function = setting.loss.implementations[row.implementation].load(row.device)
    load_seconds = wall.now() - started
    if checked:
        return timed(setting, row, position, first_call(function, setting, row.implementation), load_seconds)
    agreement, ready = check(function, setting, row.implementation)
    row = replace(row, agreement=asdict(agreement), checked_shape=bounded(setting.case).shape_text)
    if agreement.verdict != "ok":
        return replace(row, status="wrong", reason=agreement.reason)
    row = timed(setting, row, position, ready, load_seconds)
    peak_bytes, saved_bytes = memory.peak_and_saved(ready.call, row.device, setting.inputs.tensors)
    return replace(row, peak_bytes=peak_bytes, saved_bytes=saved_bytes)


def warm(case: Case, implementation: str) -> None:
    """Do all that the first round does before its clock starts, so that compilers fill their caches.

    Raises any error; the round that follows will record it in its row.
    """
    threads.fix()
    setting = Setting(registry.get(case.loss), case, 0, RULE)
    check(registry.function(case.loss, implementation, case.device), setting, implementation)


def check(function: Function, setting: Setting, name: str) -> tuple[Agreement, Ready]:
    """The agreement of the function with the oracle, on a bounded shape, and the call to be timed, run once.

    The first call comes before the check where both have one shape, so that its compilation is seen in its time.
    """
    loss, case = setting.loss, setting.case
    checked = bounded(case)
    if checked == case:
        ready = first_call(function, setting, name)
        return compare(loss, function, case), ready
    agreement = compare(loss, function, checked)
    workload.forget_compiled()
    return agreement, first_call(function, setting, name)


@dataclass(frozen=True)
class Ready:
    """A call that has run once, and the seconds that the first run took."""

    call: Callable[[], object]
    seconds: float


def first_call(function: Function, setting: Setting, name: str) -> Ready:
    """Call for the first time: a compiled implementation compiles here. Its inputs are made before."""
    inputs = setting.inputs
    setting.report("calls", name)
    started = wall.now()
    call = workload.prepare(function, inputs, setting.case.mode)
    call()
    if setting.case.device == "cuda":
        import torch

        torch.cuda.synchronize()
    return Ready(call, wall.now() - started)


def timed(setting: Setting, row: Row, position: int, ready: Ready, load_seconds: float) -> Row:
    """The row with the samples of the call as its round."""
    versions = [tensor._version for tensor in setting.inputs.tensors]
    timing = clock.time_calls(ready.call, row.device, setting.rule, graph=row.mode == "graph")
    if versions != [tensor._version for tensor in setting.inputs.tensors]:
        return replace(row, status="wrong", reason="it changes its inputs, which the implementations of a round share")
    beside = {name: value for name, value in vars(timing).items() if name not in Timing.__dataclass_fields__}
    made = Round(
        number=setting.number,
        position=position,
        seconds=median(timing.samples),
        samples=tuple(float(f"{sample:.5g}") for sample in timing.samples),
        calls=timing.number,
        stop=timing.stop,
        precision=timing.precision,
        warmup_seconds=timing.warmup_seconds,
        first_call_seconds=load_seconds + ready.seconds,
        busy=timing.busy,
        ceiling=0.0,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        beside=beside,
    )
    protocol = f"{'cold' if beside.get('cold') else 'warm'} cache; {workload.MADE.get(row.mode, workload.AFRESH)}"
    return replace(row, rounds=(made,), threads=timing.threads, protocol=protocol)


def _with_ceilings(rows: list[Row], before: Ceilings) -> list[Row]:
    """The rows with the ceiling of the round, which is measured again after the times; impossible ones are refused.

    A time beyond the ceiling makes the probes take longer: a shared machine may be twice as fast a second later.
    """
    after = [row for row in rows if row.rounds]
    if not after:
        return rows
    mode, best, impossible = after[0].mode, before.of(after[0].mode)[1], dict[str, str]()
    for effort in EFFORTS[1:]:
        limits = ceilings.measure(after[0].device, after[0].traffic, effort)
        name, rate = limits.of(mode)
        best = max(best, rate)
        reasons = {row.implementation: roofline.impossible(row.traffic, row.rounds[0].seconds, best) for row in after}
        impossible = {implementation: reason for implementation, reason in reasons.items() if reason}
        if not impossible:
            break
    return [_held_against(row, best, name, limits.level, impossible.get(row.implementation, "")) for row in rows]


def _held_against(row: Row, ceiling: float, name: str, level: str, impossible: str) -> Row:
    rounds = tuple(replace(one, ceiling=ceiling) for one in row.rounds)
    row = replace(row, rounds=rounds, ceiling_name=name, level=level)
    return replace(row, status="impossible", reason=impossible) if impossible else row


def bounded(case: Case) -> Case:
    """The case itself, or the same with at most a million elements."""
    if prod(case.shape) <= CHECKED_ELEMENTS:
        return case
    return replace(case, shape=(max(1, CHECKED_ELEMENTS // prod(case.shape[1:])), *case.shape[1:]))


def first_line(error: Exception) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
