"""An implementation in a round: loaded, checked against the oracle, and called once before any clock starts.

Whatever goes wrong becomes the status of its row, so that the other implementations of the round go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import prod
from statistics import median
from typing import Any

from lossimpl import environment
from lossimpl.agreement import compare
from lossimpl.measure import memory, threads, wall, workload
from lossimpl.measure.types import Rule, Timing
from lossimpl.row import Round, Row
from lossimpl.spec import Case, Function, Loss, Unavailable

Report = Callable[[str, str], object]  # of a stage, and the name of an implementation
CHECKED_ELEMENTS = 1 << 20  # a float64 oracle of a million elements takes a tenth of a second


def silent(stage: str, implementation: str) -> None:
    """Report nothing."""


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


def bounded(case: Case) -> Case:
    """The case itself, or the same with at most a million elements."""
    if prod(case.shape) <= CHECKED_ELEMENTS:
        return case
    return replace(case, shape=(max(1, CHECKED_ELEMENTS // prod(case.shape[1:])), *case.shape[1:]))


def first_line(error: Exception) -> str:
    """The first line of an error's message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
