"""The conformance run: every case on every implementation in a child process with a deadline, one row each.

Cases go in the order of the table, all implementations of a case together, so that the child computes the oracle once.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lossimpl.agreement import batches
from lossimpl.agreement.audit import Audit, audit
from lossimpl.agreement.cases import checks
from lossimpl.agreement.check import Check
from lossimpl.agreement.conformance import OURS, Row, run_check, unmeasured
from lossimpl.agreement.isolation import Worker
from lossimpl.agreement.room import shortage
from lossimpl.spec import Function, Loss

SECONDS = 60.0  # for one case; the largest takes about a second, a first build of the native kernels is not in it
COMPILE_SECONDS = 300.0  # compiling takes seconds, and tens of seconds on a busy machine
LASTING = "CUDA error"  # after one, an assert of a kernel say, its process can use the device no more


@dataclass(frozen=True)
class Job:
    """One cell of the table: names only, so that it can be sent to another process."""

    loss: str
    case: str
    implementation: str
    device: str
    dtype: str


def jobs(
    losses: Iterable[Loss],
    implementations: Sequence[str] = (),
    device: str = "cpu",
    dtypes: Sequence[str] = (),
    slow: bool = False,
) -> list[Job]:
    """The cells to fill: all, or those of the implementations and dtypes named."""
    return [
        Job(loss.name, check.name, name, device, dtype)
        for loss in losses
        for check in checks(loss)
        for dtype in check.dtypes
        for name in loss.implementations
        if (not implementations or name in implementations)
        and (not dtypes or dtype in dtypes)
        and (slow or not check.slow)
    ]


def run(todo: Sequence[Job]) -> Iterator[Row]:
    """One row for each job; what raises, hangs or kills its process is a row like any other.

    Plain cases of `compiled` are compiled some dozens together, since each compilation costs seconds.
    """
    alone = [job for job in todo if not batches.fits(job.implementation, check_of(job.loss, job.case))]
    with Worker() as worker:
        for loss, name, device in dict.fromkeys((job.loss, job.implementation, job.device) for job in alone):
            worker.run(prepare, loss, name, device, seconds=COMPILE_SECONDS)
        for job in alone:
            yield from _rows(worker, [job])
        for batch in batches.of([job for job in todo if job not in set(alone)], kind):
            yield from _rows(worker, batch)


def _rows(worker: Worker, batch: list[Job]) -> list[Row]:
    patient = batch[0].implementation == "compiled" or check_of(batch[0].loss, batch[0].case).slow
    seconds = COMPILE_SECONDS if patient else SECONDS
    outcome = worker.run(answer, batch, seconds=seconds)
    answered: list[Row] = outcome.value if outcome.status == "returned" else []
    if any(LASTING in told for told in (outcome.reason, *(row.got + row.reason for row in answered))):
        worker.renew()
    if answered:
        return answered
    if len(batch) > 1:
        return [row for job in batch for row in _rows(worker, [job])]
    job = batch[0]
    return [
        unmeasured(check_of(job.loss, job.case), job.loss, job.implementation, job.dtype, job.device, outcome.reason)
    ]


def audits(todo: Sequence[Job]) -> Iterator[tuple[str, str, Audit | str]]:
    """The determinism of every implementation asked for: (loss, implementation, what was found or why it was not)."""
    with Worker() as worker:
        for loss, name, device in dict.fromkeys((job.loss, job.implementation, job.device) for job in todo):
            outcome = worker.run(audited, loss, name, device, seconds=COMPILE_SECONDS)
            yield loss, name, outcome.value if outcome.status == "returned" else outcome.reason


def audited(loss: str, implementation: str, device: str) -> Audit | str:
    """The audit of one implementation, computed here, or the reason why it is unavailable."""
    import lossimpl

    one = lossimpl.get(loss)
    reason = one.implementations[implementation].available(device)
    return reason or audit(one, one.implementations[implementation].load(device), device=device)


def prepare(loss: str, implementation: str, device: str) -> None:
    """Build or import what the implementation needs, so that no case's deadline pays for it."""
    import lossimpl

    if lossimpl.get(loss).implementations[implementation].available(device) is None:
        lossimpl.get(loss).implementations[implementation].load(device)


def answer(batch: list[Job]) -> list[Row]:
    """The rows of some jobs of one loss and implementation, computed here."""
    import lossimpl

    job = batch[0]
    loss = lossimpl.get(job.loss)
    asked = [(check_of(one.loss, one.case), one.dtype) for one in batch]
    reason = loss.implementations[job.implementation].available(job.device)
    reason = reason or next(
        filter(None, (shortage(one.elements, job.implementation, dtype, job.device) for one, dtype in asked)), None
    )
    if reason is not None:
        return [
            unmeasured(check, loss.name, job.implementation, dtype, job.device, reason, "unavailable")
            for check, dtype in asked
        ]
    function = entry(loss.name, job.implementation, job.device)
    if len(batch) == 1:
        return [run_check(loss, job.implementation, function, *asked[0], job.device)]
    return batches.run_together(loss, asked, job.device)


def kind(job: Job) -> Hashable:
    """What the job's compiled code depends on."""
    return batches.kind_of(check_of(job.loss, job.case), job.dtype, job.device)


@functools.cache
def entry(loss: str, implementation: str, device: str) -> Function:
    """What a user calls: ours through the public function, which checks arguments; others raw, as they come."""
    import lossimpl
    from lossimpl import registry

    if implementation in OURS and hasattr(lossimpl, loss):
        public: Function = functools.partial(getattr(lossimpl, loss), implementation=implementation)
        return public
    return registry.function(loss, implementation, device)


@functools.cache
def _table(loss: str) -> dict[str, Check]:
    import lossimpl

    return {check.name: check for check in checks(lossimpl.get(loss))}


def check_of(loss: str, case: str) -> Check:
    """The check of that name."""
    return _table(loss)[case]
