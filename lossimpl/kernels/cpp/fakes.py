"""Fake kernels: shapes, dtypes and strides of the operators' results, for torch.compile and torch.export.

Each takes the arguments of its operator in the order of the schema in csrc/*_operators.cpp. No data is read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from lossimpl.kernels.contract import MARK
from lossimpl.losses._classes import check_class_shapes, check_class_weight

NONE = 0  # reduction "none"; kNone in csrc/call.h


def wanted(tensor: Tensor, yes: bool) -> Tensor:
    """A gradient like its tensor, or an empty tensor if it is not wanted."""
    return torch.empty_like(tensor) if yes else tensor.new_empty(0)


def elementwise(*arguments: Any) -> Tensor:
    """A scalar, or a tensor of input's shape."""
    input, reduction = arguments[1], arguments[7]
    return torch.empty_like(input) if reduction == NONE else input.new_empty(())


def elementwise_step(*arguments: Any) -> tuple[Tensor, ...]:
    """The loss, empty in the backward pass of reduction "none"; the gradients of input and target."""
    input, target, reduction, want_input, want_target, upstream = *arguments[1:3], *arguments[7:11]
    loss = input.new_empty(0) if reduction == NONE and upstream is not None else elementwise(*arguments)
    return loss, wanted(input, want_input), wanted(target, want_target)


def classes(*arguments: Any) -> Tensor:
    """A scalar, or input's shape without the classes."""
    input, target, weight, focal, reduction = *arguments[:3], *arguments[7:9]
    check_class_weight(input, **{"alpha" if focal else "weight": weight})
    if not (target.is_floating_point() and target.shape == input.shape):
        check_class_shapes(input, target)
    rows = input.shape[:1] + input.shape[2:] if input.dim() > 1 else ()
    result: Tensor = input.new_empty(rows if reduction == NONE else ())
    return result


def classes_step(*arguments: Any) -> tuple[Tensor, ...]:
    """The loss, the gradients of input and of target probabilities."""
    input, target, want_input, want_target = *arguments[:2], *arguments[9:11]
    return classes(*arguments), wanted(input, want_input), wanted(target, want_target)


def triplet(*arguments: Any) -> Tensor:
    """A scalar, or one loss per vector."""
    anchor, reduction = arguments[0], arguments[7]
    result: Tensor = anchor.new_empty(anchor.shape[:-1] if reduction == NONE else ())
    return result


def triplet_step(*arguments: Any) -> tuple[Tensor, ...]:
    """The loss, the gradients of anchor, positive and negative."""
    gradients = [wanted(one, yes) for one, yes in zip(arguments[:3], arguments[8:11], strict=True)]
    return triplet(*arguments), *gradients


def on_one_device(fake: Callable[..., Any]) -> Callable[..., Any]:
    """The fake kernel, which rejects tensors of several devices: it would accept a meta tensor next to a real one."""

    @wraps(fake)
    def guarded(*arguments: Any) -> Any:
        devices = {one.device for one in arguments if isinstance(one, Tensor)}
        if len(devices) > 1:
            names = ", ".join(sorted(map(str, devices)))
            raise RuntimeError(f"expected all tensors on one device, got {names} ({MARK})")
        return fake(*arguments)

    return guarded


def register() -> None:
    """Register all fake kernels; once, after the library is loaded."""
    for fake in (elementwise, elementwise_step, classes, classes_step, triplet, triplet_step):
        guarded = on_one_device(fake)
        torch.library.register_fake(f"lossimpl::_{fake.__name__}", guarded)
        operator = getattr(torch.ops.lossimpl, f"_{fake.__name__}").default
        torch._decomp.meta_table[operator] = guarded  # else shapes would come from a decomposition, which adds guards
