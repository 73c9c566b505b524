"""Mutants in half precision: results that are rounded more than once, where the contract computes in float32."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lossimpl.spec import Function, Loss


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch ships no types for it
    """Rounds every float32 result of an operation to a half type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch ships no types for it
        self.dtype = dtype

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation's result, rounded."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype == torch.float32:
            return result.to(self.dtype).to(torch.float32)
        return result


def computes_in_half(dtype: torch.dtype) -> Callable[[Loss, Function], Function]:
    """Every step of the forward pass in half precision, the softmax or the sigmoid among them."""

    def make(loss: Loss, function: Function) -> Function:
        def wrong(**arguments: Any) -> Tensor:
            with _Rounding(dtype):
                result: Tensor = function(**arguments)
            return result

        return wrong

    return make


def reduction_of(loss: Loss, arguments: dict[str, Any]) -> str:
    """The reduction that the call asks for."""
    default = signature(loss.oracle).parameters["reduction"].default
    return str(arguments.get("reduction", default))


def _share(loss: Loss, function: Function, arguments: dict[str, Any]) -> float:
    """What the mean divides by, in float32; the number of elements where it is not finite."""
    wide = {name: one.float() if _is_half(one) else one for name, one in arguments.items()}
    with torch.no_grad():
        share = function(**wide | {"reduction": "sum"}) / function(**wide | {"reduction": "mean"})
    return float(share) if bool(share.isfinite()) else float(arguments[loss.tensors[0]].numel())


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)


def rounds_twice(loss: Loss, function: Function) -> Function:
    """Rounds every row's loss, and their sum or mean again."""

    def wrong(**arguments: Any) -> Tensor:
        reduction = reduction_of(loss, arguments)
        if reduction == "none":
            result: Tensor = function(**arguments)
            return result
        each: Tensor = function(**arguments | {"reduction": "none"})
        share = _share(loss, function, arguments) if reduction == "mean" else 1.0
        return (each.float().sum() / share).to(each.dtype)

    return wrong


def rounds_the_slope_twice(loss: Loss, function: Function) -> Function:
    """Divides the sum in half precision, so that the incoming gradient is rounded before it meets the slopes."""

    def wrong(**arguments: Any) -> Tensor:
        if reduction_of(loss, arguments) != "mean":
            result: Tensor = function(**arguments)
            return result
        total: Tensor = function(**arguments | {"reduction": "sum"})
        return total / _share(loss, function, arguments)

    return wrong


HALF: tuple[tuple[str, Callable[[torch.dtype], Callable[[Loss, Function], Function]]], ...] = (
    ("computes every step in half precision", computes_in_half),
    ("rounds each loss and their mean", lambda _: rounds_twice),
    ("rounds the incoming gradient before the slope", lambda _: rounds_the_slope_twice),
)
