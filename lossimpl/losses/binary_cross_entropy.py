"""Binary cross entropy of probabilities.

    ℓ(p, y) = −w [y max(log p, −100) + (1 − y) max(log(1 − p), −100)]

The clamp at −100 and the gradient (p − y) / max(p(1 − p), 1e−12) are torch's contract: the loss stays finite where a
probability is exactly wrong, and its gradient there is ±1e12. A probability that a sigmoid has rounded to 0 or 1 has
lost its gradient already: use the form with logits. Input and target have one shape and one type, and lie in [0, 1];
weight broadcasts to them. An empty batch has mean NaN and sum 0.

Source: I. J. Good, Rational Decisions, Journal of the Royal Statistical Society B 14, 1952 (the logarithmic score).

naive       one sample after the other
vectorized  one tensor expression, with a parabola where torch clamps the slope
torch       torch.nn.functional.binary_cross_entropy
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy as torch_binary_cross_entropy,
)

from lossimpl.losses._checks import (
    require_constant,
    require_expandable,
    require_floating,
    require_input_first,
    require_reduction,
    require_tensors,
    require_unit_interval,
)
from lossimpl.losses._common import compute_dtype, each, elementwise_traffic, reduce
from lossimpl.losses._makers import binary_makers
from lossimpl.spec import Loss

FLOOR = -100.0
SMALLEST_VARIANCE = 1e-12


def log_loss(p: Tensor, y: Tensor) -> Tensor:
    """The unweighted loss per element.

    Where p (1 − p) is below its clamp, the loss is written as its value there (without a slope in p) plus a parabola in
    p that vanishes there and has the contract's slope (p − y) / 1e−12; so every derivative of any transform is finite.
    """
    clamped = p * (1 - p) < SMALLEST_VARIANCE
    at, inner = p.detach(), p.masked_fill(clamped, 0.5)
    rise = (p - at) * ((p + at) / 2 - y) / SMALLEST_VARIANCE
    return torch.where(clamped, entropy(at, y) + rise, entropy(inner, y))


def entropy(p: Tensor, y: Tensor) -> Tensor:
    """−[y log p + (1 − y) log(1 − p)] with both logs clamped; y times a clamped log is finite."""
    return -(y * p.log().clamp_min(FLOOR) + (1 - y) * torch.log1p(-p).clamp_min(FLOOR))


def oracle(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """In float64: the logs themselves; at the clamps, where autograd would stop, a line with the contract's slope."""
    p, y = input.detach(), target.detach()
    clamped = (p * (1 - p) < SMALLEST_VARIANCE).logical_or(p.isnan())
    log_p, log_q = p.log().clamp_min(FLOOR), torch.log1p(-p).clamp_min(FLOOR)
    edge = -torch.lerp(log_q, log_p, y) + (input - p) * ((p - y) / SMALLEST_VARIANCE) + (target - y) * (log_q - log_p)
    inner = torch.where(clamped, 0.5, input)
    loss = torch.where(clamped, edge, -target * inner.log() - (1 - target) * torch.log1p(-inner))
    return reduce(loss if weight is None else loss * weight, reduction, input.dtype)


def naive(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """Sample by sample."""
    dtype = compute_dtype(input.dtype)
    loss = each(log_loss, input.to(dtype), target.to(dtype))
    return reduce(loss if weight is None else loss * weight, reduction, input.dtype)


def vectorized(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """One tensor expression."""
    dtype = compute_dtype(input.dtype)
    loss = log_loss(input.to(dtype), target.to(dtype))
    return reduce(loss if weight is None else loss * weight, reduction, input.dtype)


def framework(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """torch.nn.functional.binary_cross_entropy with our argument order."""
    return torch_binary_cross_entropy(input, target, weight=weight, reduction=reduction)


def check(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(input=input, target=target)
    require_reduction(reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is not allowed: "
            "target must have input's shape"
        )
    require_input_first(input=input, target=target)
    require_floating(input=input)
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"Found dtype {target.dtype} for target but expected input's {input.dtype}: give target.to({input.dtype})"
        )
    require_expandable(input.shape, weight=weight)
    require_constant(weight=weight)
    require_unit_interval(input=input, target=target)


LOSS = Loss(
    name="binary_cross_entropy",
    formula="ℓ(p, y) = −w [y max(log p, −100) + (1 − y) max(log(1 − p), −100)]",
    reference="Good, Rational Decisions, J. R. Statist. Soc. B 14, 1952",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=binary_makers(probability=True),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
