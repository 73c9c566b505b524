"""The conformance run: every case on every implementation, in a child process with a deadline.

Cases run in the order of the table, all implementations of a case together, so that the oracle is computed once.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lossimpl.agreement.cases import checks
from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, run_check, without_outcome
from lossimpl.compiled import compiled
from lossimpl.conformance import batches
from lossimpl.conformance.determinism import Audit, audit
from lossimpl.conformance.isolation import Worker
from lossimpl.measure.memory import shortage
from lossimpl.spec import OURS, Function, Loss

SECONDS = 60.0  # for one case; the largest takes about a second, a first build of the native kernels is not in it
COMPILE_SECONDS = 300.0  # compiling takes seconds, and tens of seconds on a busy machine
LASTING = "CUDA error"  # after one, such as a kernel's assert, its process can no longer use the device


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


def run(todo: Sequence[Job]) -> Iterator[Result]:
    """One result per job, also for one that raises, hangs or kills its process.

    Plain cases of `compiled` are compiled together, some dozens at a time, since each compilation costs seconds.
    """
    alone = [job for job in todo if not batches.fits(job.implementation, check_of(job.loss, job.case))]
    with Worker() as worker:
        for loss, name, device in dict.fromkeys((job.loss, job.implementation, job.device) for job in alone):
            worker.run(prepare, loss, name, device, seconds=COMPILE_SECONDS)
        for job in alone:
            yield from _results(worker, [job])
        for batch in batches.of([job for job in todo if job not in set(alone)], kind):
            yield from _results(worker, batch)


def _results(worker: Worker, batch: list[Job]) -> list[Result]:
    slow = batch[0].implementation == "compiled" or check_of(batch[0].loss, batch[0].case).slow
    seconds = COMPILE_SECONDS if slow else SECONDS
    outcome = worker.run(answer, batch, seconds=seconds)
    answered: list[Result] = outcome.value if outcome.status == "returned" else []
    messages = (outcome.reason, *(one.got + one.reason for one in answered))
    if any(LASTING in message for message in messages):
        worker.renew()
    if answered:
        return answered
    if len(batch) > 1:
        return [row for job in batch for row in _results(worker, [job])]
    job = batch[0]
    return [
        without_outcome(
            check_of(job.loss, job.case), job.loss, job.implementation, job.dtype, job.device, outcome.reason
        )
    ]


def audits(todo: Sequence[Job]) -> Iterator[tuple[str, str, Audit | str]]:
    """The determinism of every implementation asked for: (loss, implementation, the audit or why there is none)."""
    with Worker() as worker:
        for loss, name, device in dict.fromkeys((job.loss, job.implementation, job.device) for job in todo):
            outcome = worker.run(audited, loss, name, device, seconds=COMPILE_SECONDS)
            yield loss, name, outcome.value if outcome.status == "returned" else outcome.reason


def audited(loss: str, implementation: str, device: str) -> Audit | str:
    """The audit of one implementation, computed in this process, or the reason why it is unavailable."""
    import lossimpl

    one = lossimpl.get(loss)
    reason = one.implementations[implementation].available(device)
    return reason or audit(one, one.implementations[implementation].load(device), device=device)


def prepare(loss: str, implementation: str, device: str) -> None:
    """Build or import what the implementation needs, so that no case's deadline pays for it."""
    import lossimpl

    if lossimpl.get(loss).implementations[implementation].available(device) is None:
        lossimpl.get(loss).implementations[implementation].load(device)


def answer(batch: list[Job]) -> list[Result]:
    """The results of some jobs of one loss and implementation, computed in this process."""
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
            without_outcome(check, loss.name, job.implementation, dtype, job.device, reason, "unavailable")
            for check, dtype in asked
        ]
    function = entry(loss.name, job.implementation, job.device)
    if len(batch) == 1:
        return [run_check(loss, job.implementation, function, *asked[0], job.device)]
    vectorized = loss.implementations["vectorized"].load(job.device)
    return batches.run_together(loss, "compiled", vectorized, lambda call, _: compiled(call), asked, job.device)


def kind(job: Job) -> Hashable:
    """What the compiled code of the job depends on."""
    return batches.kind_of(check_of(job.loss, job.case), job.dtype, job.device)


@functools.cache
def entry(loss: str, implementation: str, device: str) -> Function:
    """The function to call: ours through the public function, which checks arguments; others directly."""
    import lossimpl
    from lossimpl import registry

    if implementation in (*OURS, "auto") and hasattr(lossimpl, loss):
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
