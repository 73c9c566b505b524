"""Training of small classifiers by minibatches, many repetitions at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from lossimpl.claims.support import data

Objective: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # logits (samples, classes), labels (samples,) -> their sum


class Split(NamedTuple):
    """Features (repetitions, samples, features) and labels (repetitions, samples), for training and for testing."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def split(table: data.Table, training: int, repetitions: int, seed: int) -> Split:
    """A table with an intercept, shuffled and divided per repetition."""
    x = torch.cat([table.x, torch.ones(len(table.x), 1, dtype=table.x.dtype)], 1).float()
    order = data.shuffles(len(x), repetitions, seed)
    one, other = order[:, :training], order[:, training:]
    return Split(x[one], table.y[one], x[other], table.y[other])


def epochs(
    found: Split, objective: Objective, classes: int, rate: float, batch: int, count: int, bias: float = 0.0
) -> Iterator[Tensor]:
    """The weights (repetitions, features, classes) of linear classifiers after each epoch of stochastic descent.

    They start from zero, with `bias` for the first class. Samples come in a new order in every epoch.
    """
    repetitions, size, features = found.x.shape
    weights = torch.zeros(repetitions, features, classes)
    weights[:, -1, 0] = bias
    row = torch.arange(repetitions)[:, None]
    for _ in range(count):
        order = torch.stack([torch.randperm(size) for _ in range(repetitions)])
        for chosen in torch.split(order, batch, 1):
            held = weights.requires_grad_()
            logits = torch.bmm(found.x[row, chosen], held).flatten(0, 1)
            loss = objective(logits, found.y[row, chosen].flatten()) / chosen.shape[1]
            weights = (held - rate * torch.autograd.grad(loss, held)[0]).detach()
        yield weights


def accuracy(weights: Tensor, found: Split) -> Tensor:
    """The share of test samples whose class is right, (repetitions,); a single column is a binary logit."""
    logits = torch.bmm(found.test_x, weights)
    predicted = (logits[..., 0] > 0).long() if logits.shape[2] == 1 else logits.argmax(2)
    return (predicted == found.test_y.long()).double().mean(1)


def epochs_until(reached: Tensor, goal: float) -> Tensor:
    """The first epoch of each repetition in which a quantity (epochs, repetitions) reaches the goal.

    One more than there are, if none does.

    >>> epochs_until(torch.tensor([[0.1, 0.1], [0.9, 0.2]]), 0.8)
    tensor([2., 3.], dtype=torch.float64)
    """
    return ((reached >= goal).long().cumsum(0) == 0).sum(0).double() + 1
