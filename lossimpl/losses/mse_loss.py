"""Mean squared error.

    ℓ(x, y) = w (x − y)²

Input and target broadcast against each other and promote to one type. `mean` divides by the number of elements, or by
the sum of the weights where there are weights; an empty batch has mean NaN and sum 0. Twice differentiable everywhere.

Source: A.-M. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805 (least squares).

naive       one sample after the other
vectorized  one tensor expression
torch       torch.nn.functional.mse_loss
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import mse_loss as torch_mse_loss

from lossimpl.losses._checks import check_pair, require_some_floating
from lossimpl.losses._common import each, elementwise_traffic, pair, reduce_weighted
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import Loss


def oracle(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """In float64: the square by multiplication."""
    difference = input - target
    return reduce_weighted(difference * difference, weight, reduction, input.dtype)


def naive(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Sample by sample."""
    x, y, dtype = pair(input, target)
    loss = each(lambda x_i, y_i: (x_i - y_i) ** 2, x, y)
    return reduce_weighted(loss, weight, reduction, dtype)


def vectorized(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """One tensor expression."""
    x, y, dtype = pair(input, target)
    return reduce_weighted((x - y).square(), weight, reduction, dtype)


def framework(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """torch.nn.functional.mse_loss with our argument order."""
    extra = {} if weight is None else {"weight": weight}
    return torch_mse_loss(input, target, reduction=reduction, **extra)  # type: ignore[arg-type]  # torch's stub lacks weight


def check(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    check_pair(input, target, reduction, weight)
    require_some_floating(input=input, target=target)


LOSS = Loss(
    name="mse_loss",
    formula="ℓ(x, y) = w (x − y)²",
    reference="Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=regression_makers(),
    oracle=oracle,
    check=check,
    traffic=elementwise_traffic(2),
)
