"""Is the same call bitwise the same when repeated, on another number of threads, and as part of another batch?

Not every implementation promises it, so the audit reports what it found without a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lossimpl.agreement.uses import leaves
from lossimpl.inputs import make
from lossimpl.spec import Case, Function, Loss

CALLS = 20
SHAPE = (96, 512)  # more than 32768 elements, from which on torch splits the work between threads


@dataclass(frozen=True)
class Audit:
    """Whether all bits were the same over 20 calls, on 1 and 2 threads, and for rows alone and within a batch."""

    repeated: bool
    threads: bool
    batch: bool


def audit(loss: Loss, function: Function, dtype: str = "float32", device: str = "cpu") -> Audit:
    """Whether `function`, with the loss's signature, gives the same bits again under other circumstances.

    >>> import lossimpl
    >>> audit(lossimpl.get("mse_loss"), torch.nn.functional.mse_loss).repeated
    True
    """
    case = Case(loss.name, SHAPE, dtype, device, options=(("reduction", "mean"),))
    arguments = make(case)
    first = _results(loss, function, arguments)
    repeated = all(_same(first, _results(loss, function, arguments)) for _ in range(CALLS - 1))
    one, two = (_on_threads(count, lambda: _results(loss, function, arguments)) for count in (1, 2))
    return Audit(repeated, _same(one, two), _batch(loss, function, replace(case, options=(("reduction", "none"),))))


def _batch(loss: Loss, function: Function, case: Case) -> bool:
    """Whether the first three rows give the same alone as within the whole batch."""
    arguments = make(case)
    few = {name: one[:3] if name in loss.tensors else one for name, one in arguments.items()}
    within = [one[:3] for one in _results(loss, function, arguments)]
    return _same(within, _results(loss, function, few))


def _results(loss: Loss, function: Function, arguments: dict[str, Any]) -> list[Tensor]:
    inputs = leaves({name: arguments[name] for name in loss.tensors}, loss.differentiable)
    value = function(**(arguments | inputs))
    wanted = [inputs[name] for name in loss.differentiable]
    return [value.detach(), *torch.autograd.grad(value, wanted, torch.ones_like(value))]


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def _on_threads(count: int, call: Callable[[], list[Tensor]]) -> list[Tensor]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return call()
    finally:
        torch.set_num_threads(before)
