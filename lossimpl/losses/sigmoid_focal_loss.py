"""Focal loss over independent yes/no decisions, on logits.

    ℓ(x, t) = α_t (1 − p_t)^γ BCE(x, t)
    1 − p_t = t σ(−x) + (1 − t) σ(x)
    α_t     = α t + (1 − α)(1 − t), or 1 where α < 0

Inputs and targets have one shape; the default reduction is `none`, as in torchvision. With γ = 0 it is the (α-weighted)
binary cross entropy with logits. An empty batch has mean NaN and sum 0.

Digits: for a hard target 1 − p_t is the sigmoid of ∓x itself, never one minus something, and its power is taken through
the logarithm: exp(γ log(1 − p_t)) has a finite slope for every γ ≥ 0, where (1 − p_t)^γ gives NaN at saturated logits.

Source: T.-Y. Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

naive       one sample after the other
vectorized  one tensor expression
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossimpl.losses._checks import require_floating, require_number, require_reduction, require_tensors
from lossimpl.losses._common import compute_dtype, each, elementwise_traffic, promote, reduce, softplus
from lossimpl.losses._makers import binary_makers
from lossimpl.losses.binary_cross_entropy_with_logits import logistic, times
from lossimpl.spec import Loss


def focus(x: Tensor, t: Tensor, gamma: float) -> Tensor:
    """(1 − p_t)^γ for finite logits, through log(1 − p_t) = log(t σ(−x) + (1 − t) σ(x)).

    The larger of the two sigmoids is taken out: log σ(|x|) + log(a + b exp(−|x|)), where a is the share of the target
    that the larger one stands for. A hard target leaves one of the two.
    """
    tail = -softplus(-x.abs())  # log σ(|x|)
    likely = torch.where(x >= 0, 1 - t, t)
    unlikely = 1 - likely
    hard = likely == 0
    mixed = torch.log(torch.where(hard, 1.0, likely + unlikely * torch.exp(-x.abs())))
    lone = torch.log(torch.where(hard, unlikely, 1.0)) - x.abs()
    return torch.exp(gamma * (tail + torch.where(hard, lone, mixed)))


def focal(x: Tensor, t: Tensor, alpha: float, gamma: float) -> Tensor:
    """The loss per element. An infinite logit is a limit: its focus is 1 − p_t at the limit, with slope zero."""
    loss = logistic(x, t, None)
    if gamma != 0:
        finite = x.isfinite()
        at_limit = torch.where(x > 0, 1 - t, t).clamp_min(0).detach() ** gamma
        loss = times(torch.where(finite, focus(torch.where(finite, x, 0.0), t, gamma), at_limit), loss)
    return loss if alpha < 0 else (alpha * t + (1 - alpha) * (1 - t)) * loss


def oracle(inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none") -> Tensor:
    """In float64: sigmoids of both signs, powers by repeated definition, two terms."""
    p, q = torch.sigmoid(inputs), torch.sigmoid(-inputs)
    wrong = targets * q + (1 - targets) * p
    loss = torch.where(wrong > 0, wrong, 1.0) ** gamma * (wrong > 0) if gamma != 0 else torch.ones_like(p)
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
    require_floating(inputs=inputs)
    if not targets.is_floating_point():
        raise RuntimeError(f"targets has dtype {targets.dtype}: it must be floating point")
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
