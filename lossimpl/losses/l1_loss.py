"""Mean absolute error.

    ℓ(x, y) = w |x − y|

Input and target broadcast and promote to one type; complex numbers are allowed where the implementation says so, and
the loss is then real. Integers are allowed where nothing divides, and wrap around; their sum is int64, as torch's.
`mean` divides by the number of elements, or by the sum of the weights where there are weights; an empty batch has mean
NaN and sum 0. At x = y the subgradient is 0; so it is where x − y is NaN.

Source: R. J. Boscovich, De litteraria expeditione per pontificiam ditionem, 1757 (least absolute deviations).

naive       one sample after the other
vectorized  one tensor expression
torch       torch.nn.functional.l1_loss
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import l1_loss as torch_l1_loss

from lossimpl.losses._checks import check_pair, require_no_bool, require_some_floating
from lossimpl.losses._common import each, elementwise_traffic, pair, real_dtype, reduce_weighted
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import Loss


def oracle(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """In float64: the larger of the difference and its negative."""
    difference = input - target
    return reduce_weighted(difference * difference.sign(), weight, reduction, input.dtype)


def naive(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Sample by sample."""
    x, y, dtype = pair(input, target)
    loss = each(lambda x_i, y_i: torch.abs(x_i - y_i), x, y)
    return reduce_weighted(loss, weight, reduction, real_dtype(dtype))


def vectorized(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """One tensor expression."""
    x, y, dtype = pair(input, target)
    return reduce_weighted((x - y).abs(), weight, reduction, real_dtype(dtype))


def framework(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """torch.nn.functional.l1_loss with our argument order."""
    extra = {} if weight is None else {"weight": weight}
    return torch_l1_loss(input, target, reduction=reduction, **extra)  # type: ignore[arg-type]  # torch's stub lacks weight


def check(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    check_pair(input, target, reduction, weight)
    require_no_bool(input=input, target=target)
    if reduction == "mean" and weight is None and not (input.is_complex() or target.is_complex()):
        require_some_floating(input=input, target=target)


LOSS = Loss(
    name="l1_loss",
    formula="ℓ(x, y) = w |x − y|",
    reference="Boscovich, De litteraria expeditione per pontificiam ditionem, 1757",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=regression_makers(),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
