"""The eleven losses as Python functions over the C++ operators: one thin call each.

A wrong argument is refused by the operator; only then the loss's room is asked what is wrong, so that the message is
the same for every implementation and a right call pays nothing for it. What the room accepts and the kernels do not
serve (complex numbers, another device) raises Unavailable.

The library must be loaded before this module is imported: `lossimpl.kernels.cpp.load` sees to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

REDUCTION = {"none": 0, "mean": 1, "sum": 2}
NAMES = (
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
    "huber_loss",
    "log_cosh_loss",
    "triplet_margin_loss",
)
OPERATORS: dict[str, Callable[..., Tensor]] = {name: getattr(torch.ops.lossimpl, name).default for name in NAMES}
FUNCTIONS: dict[str, Callable[..., Tensor]] = {}


def loss(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Enter the function in FUNCTIONS, its refusals explained by the room."""

    @wraps(function)
    def explained(*args: Any, **kwargs: Any) -> Tensor:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            refuse(function.__name__, error, *args, **kwargs)
            raise

    FUNCTIONS[function.__name__] = explained
    return explained


def refuse(name: str, error: Exception, *args: Any, **kwargs: Any) -> None:
    """Raise what is wrong with the arguments, or Unavailable if the room accepts them; return on any other error."""
    from lossimpl.registry import get

    get(name).check(*args, **kwargs)
    if isinstance(error, NotImplementedError):
        raise Unavailable(f"native of {name} does not serve these arguments: {error}") from error


@loss
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits over exclusive classes."""
    chosen = REDUCTION[reduction]
    return OPERATORS["cross_entropy"](input, target, weight, ignore_index, chosen, label_smoothing)


@loss
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Binary cross entropy of probabilities."""
    return OPERATORS["binary_cross_entropy"](input, target, weight, REDUCTION[reduction])


@loss
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of logits."""
    chosen = REDUCTION[reduction]
    return OPERATORS["binary_cross_entropy_with_logits"](input, target, weight, chosen, pos_weight)


@loss
def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """Focal loss over independent yes/no decisions."""
    return OPERATORS["sigmoid_focal_loss"](inputs, targets, alpha, gamma, REDUCTION[reduction])


@loss
def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss over exclusive classes; alpha is one number or one a class."""
    number, tensor = (1.0, alpha) if alpha is None or isinstance(alpha, Tensor) else (alpha, None)
    chosen = REDUCTION[reduction]
    return OPERATORS["softmax_focal_loss"](input, target, number, tensor, gamma, ignore_index, chosen)


@loss
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Mean absolute error."""
    return OPERATORS["l1_loss"](input, target, REDUCTION[reduction], weight)


@loss
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Mean squared error."""
    return OPERATORS["mse_loss"](input, target, REDUCTION[reduction], weight)


@loss
def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Quadratic below beta, absolute above."""
    return OPERATORS["smooth_l1_loss"](input, target, REDUCTION[reduction], beta)


@loss
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Quadratic below delta, linear above."""
    return OPERATORS["huber_loss"](input, target, REDUCTION[reduction], delta, weight)


@loss
def log_cosh_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(cosh(input - target))"""
    return OPERATORS["log_cosh_loss"](input, target, REDUCTION[reduction])


@loss
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative))"""
    chosen = REDUCTION[reduction]
    return OPERATORS["triplet_margin_loss"](anchor, positive, negative, margin, p, eps, swap, chosen)
