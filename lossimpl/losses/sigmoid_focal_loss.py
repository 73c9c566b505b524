"""Focal loss over independent yes/no decisions, on logits.

    ℓ(x, t) = α_t (1 − p_t)^γ BCE(x, t)
    1 − p_t = t σ(−x) + (1 − t) σ(x)
    α_t     = α t + (1 − α)(1 − t), or 1 where α < 0

Inputs and targets have one shape; the default reduction is `none`, as in torchvision. With γ = 0 it is the (α-weighted)
binary cross entropy with logits. An empty batch has mean NaN and sum 0.

Digits: for a hard target 1 − p_t is the sigmoid of ∓x itself, never one minus something; where it underflows, the power
takes the smallest positive number instead of 0, whose slope for γ < 1 would be infinite (and the gradient NaN).

Source: T.-Y. Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

naive       one sample after the other
vectorized  one tensor expression
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossimpl.losses._checks import (
    require_floating,
    require_floating_target,
    require_input_first,
    require_number,
    require_reduction,
    require_tensors,
)
from lossimpl.losses._common import compute_dtype, each, elementwise_traffic, promote, reduce
from lossimpl.losses._makers import binary_makers
from lossimpl.losses.binary_cross_entropy_with_logits import logistic, times
from lossimpl.spec import Loss

FLAT = 800.0  # beyond it σ is exactly 0 or 1, in float64 too


def focus(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    """(1 − p_t)^γ. Below the smallest number nothing is lost by standing still.

    Where σ is flat its slope of 0 is not computed: the loss, by which it is multiplied, may overflow.
    """
    x = torch.where(x.abs() > FLAT, x.detach(), x)
    wrong = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    return wrong.clamp_min(torch.finfo(wrong.dtype).tiny) ** gamma


def focal(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    """The loss per element."""
    loss = logistic(x, t, None)
    if gamma != 0:
        loss = loss * focus(x, t, gamma)
    return loss if alpha < 0 else (alpha * t + (1 - alpha) * (1 - t)) * loss


def oracle(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> Tensor:
    """In float64: sigmoids of both signs, the power where it has a slope, times the cross entropy."""
    flat = torch.where(inputs.abs() > FLAT, inputs.detach(), inputs)
    wrong = targets * torch.sigmoid(-flat) + (1 - targets) * torch.sigmoid(flat)
    loss = torch.where(wrong > 0, wrong, 1.0) ** gamma * (wrong > 0) if gamma != 0 else torch.ones_like(wrong)
    loss = times(loss, logistic(inputs, targets, None))
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return reduce(loss, reduction, inputs.dtype)


def naive(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> Tensor:
    """Sample by sample."""
    dtype = promote(inputs, targets)
    x, t = inputs.to(compute_dtype(dtype)), targets.to(compute_dtype(dtype))
    return reduce(each(lambda x_i, t_i: focal(x_i, t_i, alpha, gamma), x, t), reduction, dtype)


def vectorized(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """One tensor expression."""
    dtype = promote(inputs, targets)
    x, t = inputs.to(compute_dtype(dtype)), targets.to(compute_dtype(dtype))
    return reduce(focal(x, t, alpha, gamma), reduction, dtype)


def check(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(inputs=inputs, targets=targets)
    require_reduction(reduction)
    require_number(alpha=alpha, gamma=gamma)
    if targets.shape != inputs.shape:
        raise ValueError(f"Target size ({targets.shape}) must be the same as input size ({inputs.shape})")
    require_input_first(inputs=inputs, targets=targets)
    require_floating(inputs=inputs)
    require_floating_target(inputs=inputs, targets=targets)
    if not gamma >= 0:
        raise ValueError(f"gamma must be at least 0, got {gamma}")
    if not alpha <= 1:
        raise ValueError(f"alpha must be at most 1 (negative: no weighting), got {alpha}")


LOSS = Loss(
    name="sigmoid_focal_loss",
    formula="ℓ(x, t) = α_t (1 − p_t)^γ BCE(x, t);  1 − p_t = t σ(−x) + (1 − t) σ(x);  α_t = α t + (1 − α)(1 − t)",
    reference="Lin et al., Focal Loss for Dense Object Detection, ICCV 2017",
    tensors=("inputs", "targets"),
    differentiable=("inputs",),
    makers=binary_makers(probability=False),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
