"""One row: an implementation of a case, with its agreement, time, memory and share of the ceiling.

A wrong implementation is not timed, an unavailable one has a reason, and an impossible time is refused; each is a row
all the same, so that no row is missing from a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from math import prod
from statistics import median
from typing import Any

from lossimpl import environment, registry
from lossimpl.agreement import Agreement, compare
from lossimpl.measure import ceilings, clock, memory, roofline, threads, wall, workload
from lossimpl.measure.types import DEFAULT_RULE, Ceilings, Rule, Timing
from lossimpl.spec import Case, Function, Implementation, Loss, Unavailable

EFFORTS = (0.02, 0.03, 0.3, 1.0)  # seconds for a probe of the ceiling: before the time, and as often as needed after it
CHECKED_ELEMENTS = 1 << 20  # a float64 oracle of a million elements costs a tenth of a second; of 100 million, many


@dataclass(frozen=True)
class Row:
    """One measurement with all that is needed to judge it; `dataclasses.asdict` makes it a line of a side-car.

    `status` is `ok`, `wrong`, `unavailable`, `impossible` or `error`, and `reason` says why it is not `ok`. `samples`
    are seconds per call. `ceiling` (bytes/s) is that of `ceiling_name` for a working set that fits into `level`;
    `share` is the part of it that the median reaches. `checked_shape` is the shape on which agreement was checked.
    `first_call_seconds` holds loading (import, build) and the first call (compile). `beside` holds what a GPU's clock
    records beside the samples. `manifest` names the environment.
    """

    loss: str
    implementation: str
    shape: str
    dtype: str
    device: str
    mode: str
    options: dict[str, Any]
    maker: str
    seed: int
    status: str = "ok"
    reason: str = ""
    samples: tuple[float, ...] = ()
    number: int = 0
    stop: str = ""
    precision: float | None = None
    warmup_seconds: float = 0.0
    first_call_seconds: float | None = None
    busy: str = ""
    threads: int = 0
    protocol: str = ""
    beside: dict[str, Any] = field(default_factory=dict)
    agreement: dict[str, Any] | None = None
    checked_shape: str = ""
    traffic: int = 0
    ceiling: float | None = None
    ceiling_name: str = ""
    level: str = ""
    share: float | None = None
    peak_bytes: int | None = None
    saved_bytes: int | None = None
    manifest: str = ""
    started_at: str = ""


def measure(case: Case, implementation: str, rule: Rule = DEFAULT_RULE) -> Row:
    """Check and measure one implementation on one case.

    Raises ValueError for a loss or an implementation that does not exist; any later error becomes a row.
    """
    loss = registry.get(case.loss)
    if implementation not in loss.implementations:
        known = ", ".join(loss.implementations)
        raise ValueError(f"implementation: expected one of {known} for {loss.name}, got {implementation!r}")
    chosen = loss.implementations[implementation]
    row = Row(
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
        traffic=loss.traffic(case),
        manifest=environment.manifest()["id"],
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        reason = chosen.available(case.device) or chosen.serves(case)
        reason = reason or memory.shortage(prod(case.shape), implementation, case.dtype, case.device)
        if reason:
            return replace(row, status="unavailable", reason=reason)
        return check_and_time(row, loss, chosen, case, rule)
    except Unavailable as unavailable:
        return replace(row, status="unavailable", reason=first_line(unavailable))
    except Exception as error:  # a plug-in or a compiler may raise anything, and the row records it
        return replace(row, status="error", reason=f"{type(error).__name__}: {first_line(error)}")


def check_and_time(row: Row, loss: Loss, chosen: Implementation, case: Case, rule: Rule) -> Row:
    """The row with its agreement and, if that is good, its time, memory and share of the ceiling."""
    started = wall.now()
    function = chosen.load(case.device)
    load_seconds = wall.now() - started
    agreement, ready = check(function, loss, case)
    row = replace(row, agreement=asdict(agreement), checked_shape=bounded(case).shape_text)
    if agreement.verdict != "ok":
        return replace(row, status="wrong", reason=agreement.reason)
    before = ceilings.measure(row.device, row.traffic, EFFORTS[0])
    return held_against_ceiling(timed(row, ready, load_seconds, rule), before)


def warm(case: Case, implementation: str) -> None:
    """Do all that a row does before its clock starts, so that compilers fill their caches.

    Raises any error; the measurement that follows will record it in its row.
    """
    threads.fix()
    loss = registry.get(case.loss)
    check(registry.function(case.loss, implementation, case.device), loss, case)


def check(function: Function, loss: Loss, case: Case) -> tuple[Agreement, Ready]:
    """How far the function stands from the oracle, on a bounded shape, and the call to be timed, run once.

    The first call comes before the check where both have one shape, so that its compilation is seen in its time.
    """
    checked = bounded(case)
    if checked == case:
        ready = first_call(function, loss, case)
        return compare(loss, function, case), ready
    agreement = compare(loss, function, checked)
    workload.forget_compiled()
    return agreement, first_call(function, loss, case)


@dataclass(frozen=True)
class Ready:
    """A call that has run once, with the tensors that it reads and the seconds that the first run took."""

    call: Callable[[], object]
    tensors: tuple[Any, ...]
    seconds: float


def first_call(function: Function, loss: Loss, case: Case) -> Ready:
    """Make the inputs, then call for the first time: a compiled implementation compiles here."""
    given = workload.inputs_of(loss, case)
    started = wall.now()
    call = workload.prepare(function, given, case.mode)
    call()
    if case.device == "cuda":
        import torch

        torch.cuda.synchronize()
    return Ready(call, given.tensors, wall.now() - started)


def timed(row: Row, ready: Ready, load_seconds: float, rule: Rule) -> Row:
    """The row with the samples of a call, and with its memory."""
    timing = clock.time_calls(ready.call, row.device, rule, graph=row.mode == "graph")
    peak_bytes, saved_bytes = memory.peak_and_saved(ready.call, row.device, ready.tensors)
    made = workload.MADE.get(row.mode, workload.AFRESH)
    beside = {name: value for name, value in vars(timing).items() if name not in Timing.__dataclass_fields__}
    return replace(
        row,
        samples=timing.samples,
        number=timing.number,
        stop=timing.stop,
        precision=timing.precision,
        warmup_seconds=timing.warmup_seconds,
        first_call_seconds=load_seconds + ready.seconds,
        busy=timing.busy,
        threads=timing.threads,
        protocol=f"{'cold' if beside.get('cold') else 'warm'} cache; {made}",
        beside=beside,
        peak_bytes=peak_bytes,
        saved_bytes=saved_bytes,
    )


def held_against_ceiling(row: Row, before: Ceilings) -> Row:
    """The row with its share of the ceiling, refused if the time is impossible.

    The ceiling is measured before the time and after it, longer where the time would be impossible: a shared machine
    may be twice as fast a second later.
    """
    seconds, ceiling = median(row.samples), before.of(row.mode)[1]
    for effort in EFFORTS[1:]:
        limits = ceilings.measure(row.device, row.traffic, effort)
        name, rate = limits.of(row.mode)
        ceiling = max(ceiling, rate)
        reason = roofline.impossible(row.traffic, seconds, ceiling)
        if not reason:
            break
    return replace(
        row,
        status="impossible" if reason else row.status,
        reason=reason or row.reason,
        ceiling=ceiling,
        ceiling_name=name,
        level=limits.level,
        share=roofline.share(row.traffic, seconds, ceiling),
    )


def bounded(case: Case) -> Case:
    """The case itself, or the same with at most a million elements."""
    if prod(case.shape) <= CHECKED_ELEMENTS:
        return case
    return replace(case, shape=(max(1, CHECKED_ELEMENTS // prod(case.shape[1:])), *case.shape[1:]))


def first_line(error: Exception) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
