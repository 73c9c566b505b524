"""Huber loss: quadratic near zero, linear with slope `delta` beyond.

    ℓ(x, y) = w d² / 2            where |d| < δ,  d = x − y
            = w δ (|d| − δ/2)     elsewhere

Input and target broadcast; the result has input's own type, as torch's has. `mean` divides by the number of elements,
with weights too (unlike the L1 and squared losses). The gradient is d clamped to [−δ, δ].

Source: P. J. Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964.

naive       one sample after the other
vectorized  one tensor expression, with the quadratic part on a clamped difference so that large ones cannot overflow
torch       torch.nn.functional.huber_loss
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import huber_loss as torch_huber_loss

from lossimpl.losses._checks import check_pair, require_floating, require_number
from lossimpl.losses._common import each, elementwise_traffic, pair, reduce
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import Loss


def robust(difference: Tensor, delta: float) -> Tensor:
    """The loss of a difference; d² and not |d|², whose second derivative would be 0 at 0."""
    size = difference.abs()
    if delta == float("inf"):  # the linear piece would be inf - inf, whose slope reaches the other piece's as NaN
        return 0.5 * difference * difference
    quadratic = 0.5 * difference * difference.clamp(-delta, delta)  # where it is not taken it must not overflow
    return torch.where(size < delta, quadratic, delta * (size - 0.5 * delta))


def weight_and_reduce(loss: Tensor, weight: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """Weighted elements; the mean divides by their number."""
    if weight is None:
        return reduce(loss, reduction, dtype)
    return reduce(loss * weight, reduction, torch.promote_types(dtype, weight.dtype))


def oracle(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """In float64: the two pieces of the definition, chosen element by element."""
    difference = input - target
    inside = difference.abs() < delta
    quadratic = torch.where(inside, difference, 0.0) ** 2 / 2
    beyond = torch.where(inside, 0.0, difference)  # an infinite delta must not meet a slope of zero
    slope = torch.zeros_like(difference).masked_fill(~inside, delta)
    linear = slope * (beyond * beyond.sign() - delta / 2)
    return weight_and_reduce(torch.where(inside, quadratic, linear), weight, reduction, input.dtype)


def naive(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Sample by sample."""
    x, y, _ = pair(input, target)
    return weight_and_reduce(each(lambda x_i, y_i: robust(x_i - y_i, delta), x, y), weight, reduction, input.dtype)


def vectorized(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """One tensor expression."""
    x, y, _ = pair(input, target)
    return weight_and_reduce(robust(x - y, delta), weight, reduction, input.dtype)


def framework(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """torch.nn.functional.huber_loss."""
    return torch_huber_loss(input, target, reduction, delta, weight)  # type: ignore[call-arg]  # torch's stub lacks weight


def check(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    check_pair(input, target, reduction, weight)
    require_floating(input=input)
    if target.is_complex():
        require_floating(target=target)
    require_number(delta=delta)
    if not delta > 0:
        raise RuntimeError(
            f"huber_loss does not support non-positive values for delta. Got delta={delta}, allowed: > 0"
        )


LOSS = Loss(
    name="huber_loss",
    formula="ℓ(x, y) = w d² / 2 where |d| < δ, else w δ (|d| − δ/2);  d = x − y",
    reference="Huber, Robust Estimation of a Location Parameter, Ann. Math. Statist. 35, 1964",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=regression_makers(),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
