"""The eight elementwise losses as operators: one kernel for all, with one pointwise function per loss."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import tuning
from .elementwise import elementwise_kernel
from .launch import CHECKED, compute_dtype, compute_type, launch, programs_for
from .layout import walk
from .operators import Grads, Operator, register
from .pointwise import POINTS
from .sums import finish

ARGUMENTS = "Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, float first, float second"
# Losses whose weighted mean divides by the sum of the weights, as in torch.
DIVIDED_BY_WEIGHT = ("l1_loss", "mse_loss")
# Losses whose pointwise function asserts that its input is valid.
ASSERTING = ("binary_cross_entropy",)


def run(
    name: str,
    operands: Sequence[Any],
    outputs: Sequence[Tensor | None],
    numbers: tuple[float, float],
    factor: float = 1.0,
    *,
    divisor: Tensor | None = None,
    scalar_upstream: Tensor | None = None,
    sums: bool = False,
) -> Tensor | None:
    """Run the kernel over input, target, weight, pos_weight, upstream; return partial sums if `sums` is set."""
    pointers = (*operands, *outputs)
    plan = walk(pointers)
    block = tuning.HEAVY_BLOCK if name in tuning.HEAVY else tuning.ELEMENTWISE_BLOCK
    programs = programs_for(operands[0], -(-plan.count // block))
    partial = operands[0].new_empty(programs, dtype=compute_dtype(*operands[:2])) if sums else None
    launch(
        elementwise_kernel, operands[0].device, programs,
        pointers, divisor, scalar_upstream, partial, plan.count, factor, *numbers, plan.sizes, plan.strides,
        POINT=point(name, operands, numbers), DIMENSIONS=plan.dimensions, COMPUTE=compute_type(*operands[:2]),
        BLOCK=block, VECTOR=16 // min(operands[0].element_size(), operands[1].element_size()),
        num_warps=tuning.ELEMENTWISE_WARPS, **(CHECKED if name in ASSERTING else {}),
    )  # fmt: skip
    return partial


def point(name: str, operands: Sequence[Any], numbers: tuple[float, float]) -> Any:
    """The pointwise function: focal loss has a second one for gamma = 2, binary cross entropy for half precision."""
    if name == "sigmoid_focal_loss" and numbers[1] == 2.0:
        return POINTS[f"{name} with gamma 2"]
    if name == "binary_cross_entropy" and operands[0].element_size() == 2:
        return POINTS[f"{name} in half precision"]
    return POINTS[name]


def _forward(
    name: str, tensors: Any, numbers: Any, reduction: str, dtype: torch.dtype, losses: Tensor | None, grads: Grads
) -> Tensor:
    """The loss, and the gradients for an upstream gradient of one, in one pass."""
    factor, divisor = _mean(name, tensors, reduction)
    partial = run(
        name, (*tensors, None), (losses, *grads), numbers, factor, divisor=divisor, sums=losses is None
    )  # fmt: skip
    return losses if partial is None else finish(partial, divisor, factor, dtype)  # type: ignore[return-value]  # one of the two exists


def _backward(name: str, upstream: Tensor, tensors: Any, numbers: Any, reduction: str, grads: Grads) -> None:
    """The gradients, recomputed from the inputs."""
    factor, divisor = _mean(name, tensors, reduction)
    if reduction == "none":
        run(name, (*tensors, upstream), (None, *grads), numbers)
    else:
        run(name, (*tensors, None), (None, *grads), numbers, factor, divisor=divisor, scalar_upstream=upstream)


def _mean(name: str, tensors: Any, reduction: str) -> tuple[float, Tensor | None]:
    """The factor of the sum, and its divisor on the device or None."""
    x, t, weight, _ = tensors
    if reduction != "mean":
        return 1.0, None
    if weight is not None and name in DIVIDED_BY_WEIGHT:
        return 1.0, weight.sum(dtype=compute_dtype(x, t))
    return (1.0 / x.numel() if x.numel() else float("nan")), None


def _public(name: str, tensors: Any, numbers: Any) -> dict[str, Any]:
    """The call as keyword arguments of the loss."""
    x, t, weight, pos_weight = tensors
    arguments: dict[str, Any] = (
        {"inputs": x, "targets": t} if name == "sigmoid_focal_loss" else {"input": x, "target": t}
    )
    arguments |= dict(zip(NUMBERS.get(name, ()), numbers, strict=False))
    optional = {"weight": weight, "pos_weight": pos_weight}
    return arguments | {key: value for key, value in optional.items() if value is not None}


NUMBERS = {"smooth_l1_loss": ("beta",), "huber_loss": ("delta",), "sigmoid_focal_loss": ("alpha", "gamma")}
NAMES = (
    "l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "sigmoid_focal_loss",
)  # fmt: skip
OPERATORS = {
    name: register(
        Operator(
            name, name, ARGUMENTS, 4, 2, functools.partial(_forward, name), functools.partial(_backward, name),
            losses=lambda x, dtype: torch.empty_like(x, dtype=dtype), gradient=torch.empty_like,
            public=functools.partial(_public, name),
        )
    )
    for name in NAMES
}  # fmt: skip
