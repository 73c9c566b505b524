"""Implementations that are wrong on purpose, to show that our checks detect each kind of fault.

A mutant is made from a correct function with the loss's signature. `detect` finds the first of our checks that refuses
it: agreement on a plain case, then the conformance table, then the check for impossible times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lossimpl.agreement.cases import checks
from lossimpl.agreement.compare import compare
from lossimpl.agreement.judge import run_check
from lossimpl.agreement.tolerances import EPS
from lossimpl.conformance.half_precision_mutants import HALF, reduction_of
from lossimpl.dispatch import widened
from lossimpl.inputs import make
from lossimpl.measure import ceilings, clock, roofline
from lossimpl.measure.types import Rule
from lossimpl.spec import Case, Function, Loss

SHAPE = (48, 20)
LARGE = 1 << 22  # elements of the call that the clock looks at: 16 MB, which no machine reads in a microsecond


@dataclass(frozen=True)
class Mutant:
    """One kind of fault: `make(loss, function)` is the wrong function, checked in this dtype."""

    name: str
    make: Callable[[Loss, Function], Function]
    dtype: str = "float32"


@dataclass(frozen=True)
class Detection:
    """Which check refused a mutant, and why; `by` is empty when it was not detected."""

    loss: str
    mutant: str
    by: str
    reason: str


def bound(loss: Loss, function: Function) -> Function:
    """The function taking keyword arguments only, by name, with its arguments checked as the public API does."""

    def checked(**arguments: Any) -> Tensor:
        loss.check(**arguments)
        if torch.is_autocast_enabled("cpu"):
            arguments = {name: widened(one) for name, one in arguments.items()}
        result: Tensor = function(**arguments)
        return result

    return checked


def zeros(loss: Loss, function: Function) -> Function:
    """Returns zeros, of the right shape and with a gradient."""
    return lambda **arguments: function(**arguments) * 0


def off_by_one(loss: Loss, function: Function) -> Function:
    """Reads the neighbour's label: the next class, or the next element of the second tensor."""
    second = loss.tensors[1]

    def wrong(**arguments: Any) -> Tensor:
        target, input = arguments[second], arguments[loss.tensors[0]]
        if not target.is_floating_point():
            classes = input.shape[min(1, input.dim() - 1)]
            shifted = torch.where((target >= 0) & (target < classes), (target + 1) % max(classes, 1), target)
        else:
            shifted = target.roll(1)
        result: Tensor = function(**arguments | {second: shifted})
        return result

    return wrong


def drops_an_option(option: str) -> Callable[[Loss, Function], Function]:
    """Ignores an option."""

    def make(loss: Loss, function: Function) -> Function:
        def wrong(**arguments: Any) -> Tensor:
            kept = {name: one for name, one in arguments.items() if name != option}
            if option == "ignore_index" and not kept[loss.tensors[1]].is_floating_point():
                kept[loss.tensors[1]] = kept[loss.tensors[1]].clamp(min=0)
            result: Tensor = function(**kept)
            return result

        return wrong

    return make


def wrong_count(loss: Loss, function: Function) -> Function:
    """Divides the sum by the number of rows that came in, whether they count or not."""

    def wrong(**arguments: Any) -> Tensor:
        if arguments.get("reduction", "mean") != "mean":
            result: Tensor = function(**arguments)
            return result
        first = arguments[loss.tensors[0]]
        total: Tensor = function(**arguments | {"reduction": "sum"})
        return total / max(first.shape[0] if first.dim() else 1, 1)

    return wrong


def half_accumulator(loss: Loss, function: Function) -> Function:
    """Adds up in bfloat16, pair by pair."""

    def wrong(**arguments: Any) -> Tensor:
        reduction = reduction_of(loss, arguments)
        if reduction == "none":
            result: Tensor = function(**arguments)
            return result
        each: Tensor = function(**arguments | {"reduction": "none"})
        parts = each.flatten().bfloat16()
        while parts.numel() > 1:
            parts = torch.nn.functional.pad(parts, (0, parts.numel() % 2))
            parts = parts[::2] + parts[1::2]
        total = parts.sum().to(each.dtype)
        return total / each.numel() if reduction == "mean" else total

    return wrong


def stale(loss: Loss, function: Function) -> Function:
    """Computes with the first inputs that it saw of each shape."""
    kept: dict[Any, dict[str, Tensor]] = {}

    def wrong(**arguments: Any) -> Tensor:
        now = {name: one for name, one in arguments.items() if isinstance(one, Tensor)}
        key = tuple((name, one.shape, one.dtype) for name, one in now.items())
        first = kept.setdefault(key, {name: one.detach().clone() for name, one in now.items()})
        seen = {
            name: first[name] + (one - one.detach()) if one.is_floating_point() else first[name]
            for name, one in now.items()
        }
        result: Tensor = function(**arguments | seen)
        return result

    return wrong


class _OwnGradient(torch.autograd.Function):
    """Passes a value on, and ones back."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """The value itself."""
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Ones, whatever came in."""
        return torch.ones_like(gradients[0])


def ignores_incoming(loss: Loss, function: Function) -> Function:
    """Its backward pass starts from one, whatever gradient comes in."""

    def wrong(**arguments: Any) -> Tensor:
        result: Tensor = _OwnGradient.apply(function(**arguments))  # type: ignore[no-untyped-call]  # torch ships no types for it
        return result

    return wrong


def never_reads_target(loss: Loss, function: Function) -> Function:
    """Uses zeros instead of the target."""
    second = loss.tensors[1]
    return lambda **arguments: function(**arguments | {second: torch.zeros_like(arguments[second])})


class Unfinished:
    """Returns the result of a large call before it is computed: simulated by not computing it again."""

    def __init__(self, loss: Loss, function: Function) -> None:
        self.first = loss.tensors[0]
        self.function = function
        self.queued: dict[torch.Size, Tensor] = {}

    def __call__(self, **arguments: Any) -> Tensor:
        """The result, computed for small inputs and for the first large ones only."""
        shape = arguments[self.first].shape
        if shape.numel() < LARGE:
            result: Tensor = self.function(**arguments)
            return result
        if shape not in self.queued:
            self.queued[shape] = self.function(**arguments)
        return self.queued[shape]


def mutants(loss: Loss) -> list[Mutant]:
    """All mutants of this loss."""
    options = [name for name in signature(loss.oracle).parameters if name not in (*loss.tensors, "reduction")]
    return [
        Mutant("returns zeros", zeros),
        Mutant("reads the neighbour's label", off_by_one),
        Mutant("never reads its target", never_reads_target),
        Mutant("divides by the wrong count", wrong_count),
        Mutant("accumulates in half precision", half_accumulator),
        Mutant("returns a stale cached result", stale),
        Mutant("ignores the incoming gradient", ignores_incoming),
        *(Mutant(f"drops {option}", drops_an_option(option)) for option in options),
        *(Mutant(f"{name} ({dtype})", make(getattr(torch, dtype)), dtype) for dtype in EPS for name, make in HALF),
        Mutant("reports before the device has finished", Unfinished),
    ]


def detect(loss: Loss, mutant: Mutant) -> Detection:
    """The first of our checks that refuses this mutant of the vectorized form."""
    wrong = mutant.make(loss, loss.implementations["vectorized"].load("cpu"))
    for refused in (_by_agreement, _by_conformance, _by_clock):
        reason = refused(loss, wrong, mutant.dtype)
        if reason:
            return Detection(loss.name, mutant.name, refused.__name__.removeprefix("_by_"), reason)
    return Detection(loss.name, mutant.name, "", "survived")


def _by_agreement(loss: Loss, function: Function, dtype: str) -> str:
    for reduction in ("mean", "none"):
        agreement = compare(loss, function, Case(loss.name, SHAPE, dtype, options=(("reduction", reduction),)))
        if agreement.verdict != "ok":
            return agreement.reason
    return ""


def _by_conformance(loss: Loss, function: Function, dtype: str) -> str:
    for check in checks(loss):
        if dtype in check.dtypes and not check.slow:
            row = run_check(loss, "mutant", bound(loss, function), check, dtype)
            if row.status in ("fail", "error"):
                return f"{check.name}: {row.reason}"
    return ""


def _by_clock(loss: Loss, function: Function, dtype: str) -> str:
    case = Case(loss.name, (LARGE // 256, 256), dtype, mode="forward")
    arguments, traffic = make(case), loss.traffic(case)
    with torch.no_grad():
        timing = clock.time_calls(lambda: function(**arguments), rule=Rule(max_seconds=0.2))
    _, ceiling = ceilings.measure("cpu", traffic, 0.05).of("forward")
    return roofline.impossible(traffic, median(timing.samples), ceiling)
