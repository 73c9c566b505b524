"""Log-cosh loss: like the square near zero, like the absolute value far out, with every derivative.

    ℓ(x, y) = log cosh d,  d = x − y

Input and target broadcast and promote to one type; an empty batch has mean NaN and sum 0. The gradient is tanh d. torch
has no such loss.

Two forms keep the digits: for small |d| log1p(2 sinh²(d/2)), since log(cosh d) cancels there; for the rest
|d| − log 2 + log1p(exp(−2|d|)), since cosh overflows.

Source: P. J. Green, Bayesian reconstructions from emission tomography data using a modified EM algorithm,
IEEE Transactions on Medical Imaging 9, 1990.

naive       one sample after the other
vectorized  one tensor expression
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossimpl.losses._checks import check_pair, require_some_floating
from lossimpl.losses._common import each, elementwise_traffic, pair, reduce
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import Loss

SMALL = 1.0  # below it the first form is exact, above it the second has no cancellation left


def log_cosh(difference: Tensor) -> Tensor:
    """log cosh of a difference, accurate to rounding everywhere; infinite for an infinite difference."""
    size = difference.abs()
    near = torch.log1p(2 * torch.sinh(difference.clamp(-SMALL, SMALL) / 2).square())
    far = size - math.log(2) + torch.log1p(torch.exp(-2 * size))
    return torch.where(size < SMALL, near, far)


def oracle(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """In float64: half the log of 1 + sinh² where that is finite, the asymptote with its correction beyond."""
    difference = input - target
    inside = difference.abs() < 20
    near = 0.5 * torch.log1p(torch.sinh(torch.where(inside, difference, 0.0)) ** 2)
    size = torch.where(inside, 0.0, difference * difference.sign())
    far = size - math.log(2) + torch.exp(-2 * size)  # log1p(t) is t for t < exp(-40)
    return reduce(torch.where(inside, near, far), reduction, input.dtype)


def naive(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Sample by sample."""
    x, y, dtype = pair(input, target)
    return reduce(each(lambda x_i, y_i: log_cosh(x_i - y_i), x, y), reduction, dtype)


def vectorized(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """One tensor expression."""
    x, y, dtype = pair(input, target)
    return reduce(log_cosh(x - y), reduction, dtype)


def check(input: Tensor, target: Tensor, reduction: str = "mean") -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    check_pair(input, target, reduction)
    require_some_floating(input=input, target=target)


LOSS = Loss(
    name="log_cosh_loss",
    formula="ℓ(x, y) = log cosh(x − y)",
    reference="Green, Bayesian reconstructions from emission tomography data, IEEE Trans. Med. Imaging 9, 1990",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=regression_makers(),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
