"""Binary cross entropy of logits.

    ℓ(x, y) = w [v y softplus(−x) + (1 − y) softplus(x)],   softplus(x) = log(1 + exp x),  v = pos_weight

Input and target have one shape; weight and pos_weight broadcast to it. Two non-negative terms for targets in [0, 1], so
nothing cancels; a term whose factor is zero counts as zero at infinite logits too (where torch gives NaN). The gradient
in x is w [(1 − y) σ(x) − v y σ(−x)]. An empty batch has mean NaN and sum 0.

Source: D. R. Cox, The Regression Analysis of Binary Sequences, Journal of the Royal Statistical Society B 20, 1958.

naive       one sample after the other
vectorized  one tensor expression
torch       torch.nn.functional.binary_cross_entropy_with_logits
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits as torch_binary_cross_entropy_with_logits,
)

from lossimpl.losses._checks import (
    require_constant,
    require_expandable,
    require_floating,
    require_floating_target,
    require_input_first,
    require_no_bool,
    require_reduction,
    require_tensors,
)
from lossimpl.losses._common import compute_dtype, each, elementwise_traffic, promote, reduce
from lossimpl.losses._makers import binary_makers
from lossimpl.spec import Loss


def times(factor: Tensor, term: Tensor) -> Tensor:
    """factor × term, where zero times infinity is zero; both slopes stay finite there."""
    lost = (factor == 0) & term.isinf()
    return factor * term.masked_fill(lost, 0.0)


def logistic(x: Tensor, y: Tensor, pos_weight: Tensor | None) -> Tensor:
    """The unweighted loss per element.

    softplus(x) = max(x, 0) + tail and softplus(−x) = max(−x, 0) + tail share tail = log1p(exp(−|x|)); written with one
    comparison, all slopes at x = 0 are those of the same side, and add up to σ(0).
    """
    above = x >= 0
    up, down = torch.where(above, x, 0.0), torch.where(above, 0.0, -x)
    tail = torch.log1p(torch.exp(-(up + down)))
    positive = y if pos_weight is None else y * pos_weight
    return times(positive, down) + times(1 - y, up) + (positive + (1 - y)) * tail


def finish(loss: Tensor, weight: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """Weighted elements, reduced by their number."""
    return reduce(loss if weight is None else loss * weight, reduction, dtype)


def oracle(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """In float64: softplus through the exponential that is at most one, on whichever side of zero that is."""

    def rise(x: Tensor) -> Tensor:
        above = x > 0
        up, down = torch.where(above, x, 0.0), torch.where(above, 0.0, x)
        return torch.where(above, up + torch.log1p(torch.exp(-up)), torch.log1p(torch.exp(down)))

    positive = target if pos_weight is None else target * pos_weight
    loss = times(positive, rise(-input)) + times(1 - target, rise(input))
    return finish(loss, weight, reduction, input.dtype)


def naive(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Sample by sample."""
    dtype = promote(input, target)
    x, y = input.to(compute_dtype(dtype)), target.to(compute_dtype(dtype))
    if pos_weight is None:
        loss = each(lambda x_i, y_i: logistic(x_i, y_i, None), x, y)
    else:
        loss = each(logistic, x, y, pos_weight.expand(x.shape))
    return finish(loss, weight, reduction, dtype)


def vectorized(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """One tensor expression."""
    dtype = promote(input, target)
    x, y = input.to(compute_dtype(dtype)), target.to(compute_dtype(dtype))
    return finish(logistic(x, y, pos_weight), weight, reduction, dtype)


def framework(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """torch.nn.functional.binary_cross_entropy_with_logits, which rounds to target's type, with the types promoted."""
    dtype = promote(input, target)
    return torch_binary_cross_entropy_with_logits(
        input.to(dtype), target.to(dtype), weight=weight, reduction=reduction, pos_weight=pos_weight
    )


def check(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(input=input, target=target)
    require_reduction(reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    require_input_first(input=input, target=target)
    require_floating(input=input)
    require_floating_target(input=input, target=target)
    require_expandable(input.shape, weight=weight, pos_weight=pos_weight)
    require_constant(weight=weight, pos_weight=pos_weight)
    if pos_weight is not None:
        require_no_bool(pos_weight=pos_weight)


LOSS = Loss(
    name="binary_cross_entropy_with_logits",
    formula="ℓ(x, y) = w [v y softplus(−x) + (1 − y) softplus(x)]",
    reference="Cox, The Regression Analysis of Binary Sequences, J. R. Statist. Soc. B 20, 1958",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=binary_makers(probability=False),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
