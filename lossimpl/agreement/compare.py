"""One verdict for one implementation on one case: value and gradients against the float64 oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lossimpl import bits
from lossimpl.agreement.distance import Distance, distance
from lossimpl.agreement.tolerances import FLOOR, TOLERANCES, Tolerance
from lossimpl.inputs import make
from lossimpl.spec import Case, Function, Loss

LIMIT = 1 << 21  # elements; a larger case is checked on fewer rows, so that the check costs seconds at most


@dataclass(frozen=True)
class Agreement:
    """Distance of an implementation from the oracle on one case, and the verdict that follows.

    `*_max_rel` and `*_mean_rel` are relative errors, `*_ulp` units in the last place of the output's dtype; the
    gradient's are the worst over all differentiable inputs. A forward case asks for no gradient: None. `bits` has those
    of the value and of each gradient, by its name in words; none where the value has another shape or type.
    """

    value_max_rel: float
    value_mean_rel: float
    value_ulp: float
    grad_max_rel: float | None
    grad_mean_rel: float | None
    grad_ulp: float | None
    verdict: str
    reason: str
    bits: dict[str, bits.Bits] = field(default_factory=dict)


def compare(loss: Loss, function: Function, case: Case) -> Agreement:
    """How far `function` stands from `loss.oracle` on `case`, and whether that is close enough.

    `function` is a raw implementation with the loss's signature. The oracle gets the same quantised inputs in float64.
    The function is also called on other numbers, before in the same memory and after in other memory, so that a result
    kept from an earlier call is seen to be stale. A case of more than `LIMIT` elements is checked on fewer rows, and
    the reason says so.

    >>> import lossimpl
    >>> from lossimpl.spec import Case
    >>> compare(lossimpl.get("mse_loss"), torch.nn.functional.mse_loss, Case("mse_loss", (64, 8))).verdict
    'ok'
    """
    checked = _bounded(case)
    arguments = make(checked)
    want, want_grads = _call(loss, loss.oracle, checked, exact(arguments))
    got, got_grads = _fresh_call(loss, function, checked, arguments)
    if got.shape != want.shape or not got.is_floating_point():
        return _useless(
            f"value has shape {tuple(got.shape)} and dtype {got.dtype}, expected {tuple(want.shape)}, floating"
        )
    unit = incoming(loss, checked, want)[1]
    grads = {name: distance(grad, want_grads[name], FLOOR * unit) for name, grad in got_grads.items()}
    note = "" if checked == case else f" (checked at {checked.shape_text})"
    value = distance(got, want, FLOOR * loss.value_unit(arguments))
    agreement = _verdict(value, grads, TOLERANCES[case.dtype], note)
    if agreement.verdict == "ok":
        agreement = _stale(loss, function, checked, got, got_grads) or agreement
    results = {"value": got} | {f"gradient of {name}": grad for name, grad in got_grads.items()}
    return replace(agreement, bits={name: bits.of(one) for name, one in results.items()})


def exact(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same numbers in float64, for the oracle; arguments that are not floating-point tensors stay."""
    return {
        name: one.double() if isinstance(one, Tensor) and one.is_floating_point() else one
        for name, one in arguments.items()
    }


def _bounded(case: Case) -> Case:
    elements = math.prod(case.shape)
    if elements <= LIMIT or len(case.shape) < 1:
        return case
    rows = max(1, LIMIT // (elements // case.shape[0]))
    return replace(case, shape=(rows, *case.shape[1:]))


def incoming(loss: Loss, case: Case, value: Tensor) -> tuple[Tensor, float]:
    """The incoming gradient for a result like `value`, and the resulting gradient's unit.

    An averaging loss gets the power of two next to the number of its terms (at most 2^15), which every dtype holds
    exactly and which keeps its gradients above half precision's smallest numbers; a per-element result gets factors
    between 0.5 and 1.5.
    """
    if value.dim():
        steps = torch.arange(value.numel(), device=value.device, dtype=torch.float64) % 65
        return (0.5 + steps / 64).reshape(value.shape), 1.0
    if dict(case.options).get("reduction", "mean") == "sum":
        return torch.ones_like(value), 1.0
    terms = max(loss.shapes.terms(case.shape), 1)
    factor = float(1 << min(terms.bit_length() - 1, 15))
    return torch.full_like(value, factor), factor / terms


def _fresh_call(
    loss: Loss, function: Function, case: Case, arguments: dict[str, Any]
) -> tuple[Tensor, dict[str, Tensor]]:
    memory = make(replace(case, seed=case.seed + 1))
    _call(loss, function, case, memory)
    for name in loss.tensors:
        memory[name].copy_(arguments[name])
    return _call(loss, function, case, arguments | {name: memory[name] for name in loss.tensors})


def _stale(loss: Loss, function: Function, case: Case, got: Tensor, grads: dict[str, Tensor]) -> Agreement | None:
    """The verdict on a function that gives the same result for other inputs, where the oracle does not."""
    others = make(replace(case, seed=case.seed + 1))
    value, other_grads = _call(loss, function, case, others)
    same = [torch.equal(value, got), *(torch.equal(other_grads[name], grads[name]) for name in grads)]
    if not all(same):
        return None
    want, want_grads = _call(loss, loss.oracle, case, exact(others))
    apart = [
        distance(value, want).mean_rel,
        *(distance(other_grads[name], want_grads[name]).mean_rel for name in grads),
    ]
    limit = TOLERANCES[case.dtype].grad_mean
    return (
        _useless("the result is the same for other inputs: kept from an earlier call") if max(apart) > limit else None
    )


def _useless(reason: str) -> Agreement:
    return Agreement(math.inf, math.inf, math.inf, None, None, None, "wrong", reason)


def _call(loss: Loss, function: Function, case: Case, arguments: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    if case.mode == "forward":
        with torch.no_grad():
            return function(**arguments), {}
    leaves = {name: arguments[name].detach().requires_grad_() for name in loss.differentiable}
    value = function(**(arguments | leaves))
    gradient = incoming(loss, case, value.detach())[0].to(value.dtype)
    if not value.requires_grad:  # it does not depend on a differentiable input: the gradient is zero
        return value, {name: torch.zeros_like(one) for name, one in leaves.items()}
    grads = torch.autograd.grad(value, list(leaves.values()), gradient, allow_unused=True, materialize_grads=True)
    return value.detach(), dict(zip(leaves, grads, strict=True))


def _verdict(value: Distance, grads: dict[str, Distance], limit: Tolerance, note: str) -> Agreement:
    faults = _faults("value", value, limit.value_max, limit.value_mean)
    for name, one in grads.items():
        faults += _faults(f"gradient of {name}", one, limit.grad_max, limit.grad_mean)
    fields = ("max_rel", "mean_rel", "ulp")
    max_rel, mean_rel, ulp = (max((getattr(one, field) for one in grads.values()), default=None) for field in fields)
    reason = "; ".join(faults) + note if faults else note.strip()
    verdict = "wrong" if faults else "ok"
    return Agreement(value.max_rel, value.mean_rel, value.ulp, max_rel, mean_rel, ulp, verdict, reason)


def _faults(what: str, one: Distance, max_rel: float, mean_rel: float) -> list[str]:
    if not one.max_rel <= max_rel:
        return [f"{what}: relative error {one.max_rel:.3g} exceeds {max_rel:g} at {one.worst}"]
    if not one.mean_rel <= mean_rel:
        return [f"{what}: mean relative error {one.mean_rel:.3g} exceeds {mean_rel:g}; worst {one.worst}"]
    return []
