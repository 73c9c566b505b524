"""Smooth L1: quadratic near zero, absolute beyond `beta`.

    ℓ(x, y) = d² / (2β)    where |d| < β,  d = x − y
            = |d| − β/2    elsewhere

With β = 0 it is the L1 loss. It is the Huber loss divided by β. Input and target broadcast and promote to one type;
an empty batch has mean NaN and sum 0. The gradient is d/β clamped to [−1, 1].

Source: R. Girshick, Fast R-CNN, ICCV 2015.

naive       one sample after the other
vectorized  one tensor expression, with the quadratic part on a clamped difference so that large ones cannot overflow
torch       torch.nn.functional.smooth_l1_loss
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import (
    smooth_l1_loss as torch_smooth_l1_loss,
)

from lossimpl.losses._checks import check_pair, require_number, require_some_floating
from lossimpl.losses._common import each, elementwise_traffic, pair, reduce
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import Loss


def smooth(difference: Tensor, beta: float) -> Tensor:
    """The loss of a difference.

    The quadratic piece is d m / (2β) with m = d clamped to ±β, whose share m/β never exceeds 1. Its factors are d
    and not |d|, whose slope at 0 would make the second derivative 0 there.
    """
    size = difference.abs()
    if beta < torch.finfo(size.dtype).tiny:  # the quadratic piece is narrower than this precision resolves
        return size
    return torch.where(size < beta, 0.5 * difference * (difference.clamp(-beta, beta) / beta), size - 0.5 * beta)


def oracle(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """In float64: the two pieces of the definition, chosen element by element."""
    difference = input - target
    if beta == 0:
        return reduce(difference * difference.sign(), reduction, input.dtype)
    inside = difference.abs() < beta
    quadratic = torch.where(inside, difference, 0.0) ** 2 / (2 * beta)
    linear = difference * difference.sign() - beta / 2
    return reduce(torch.where(inside, quadratic, linear), reduction, input.dtype)


def naive(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Sample by sample."""
    x, y, dtype = pair(input, target)
    return reduce(each(lambda x_i, y_i: smooth(x_i - y_i, beta), x, y), reduction, dtype)


def vectorized(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """One tensor expression."""
    x, y, dtype = pair(input, target)
    return reduce(smooth(x - y, beta), reduction, dtype)


def framework(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """torch.nn.functional.smooth_l1_loss with our argument order."""
    return torch_smooth_l1_loss(input, target, reduction=reduction, beta=beta)


def check(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    check_pair(input, target, reduction)
    require_some_floating(input=input, target=target)
    require_number(beta=beta)
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta. Got beta={beta}, allowed: >= 0")


LOSS = Loss(
    name="smooth_l1_loss",
    formula="ℓ(x, y) = d² / (2β) where |d| < β, else |d| − β/2;  d = x − y",
    reference="Girshick, Fast R-CNN, ICCV 2015",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=regression_makers(),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
