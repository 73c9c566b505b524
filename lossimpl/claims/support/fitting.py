"""Fits of constants and linear models, many repetitions at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lossimpl.claims.support.losses import Loss, slope

HALVINGS = 80  # of an interval: float64 has 53 binary digits


def constant(loss: Loss, y: Tensor) -> Tensor:
    """The constant that minimises the summed loss in each row of `y`, by bisection on the sign of the derivative.

    >>> from lossimpl.claims.support.losses import mae, mse
    >>> y = torch.tensor([[0.0, 1.0, 8.0]], dtype=torch.float64)
    >>> round(constant(mse, y).item(), 6), round(constant(mae, y).item(), 6)
    (3.0, 1.0)
    """
    low, high = y.amin(1), y.amax(1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rises = slope(loss, middle[:, None].expand_as(y).clone(), y).sum(1) > 0
        low, high = torch.where(rises, low, middle), torch.where(rises, middle, high)
    return (low + high) / 2


def descent(loss: Loss, x: Tensor, y: Tensor, rate: Callable[[int], float], steps: int) -> Iterator[Tensor]:
    """Gradient descent of linear models without intercept on the mean loss: the weights after each step.

    Shapes: x (repetitions, samples, features), y (repetitions, samples), weights (repetitions, features), from zero.
    """
    weights = torch.zeros(x.shape[0], x.shape[2], dtype=x.dtype)
    for step in range(steps):
        gradient = slope(loss, predictions(weights, x), y)
        weights = weights - rate(step) / x.shape[1] * torch.einsum("rn,rnd->rd", gradient, x)
        yield weights


def fitted(loss: Loss, x: Tensor, y: Tensor, steps: int = 400) -> Tensor:
    """The weights of linear models without intercept, (repetitions, features): Adam with a rate that falls to zero."""
    weights = torch.zeros(x.shape[0], x.shape[2], dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        (loss(predictions(weights, x), y) / x.shape[1]).backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    return weights.detach()


def predictions(weights: Tensor, x: Tensor) -> Tensor:
    """What linear models predict, (repetitions, samples)."""
    return torch.einsum("rnd,rd->rn", x, weights)
