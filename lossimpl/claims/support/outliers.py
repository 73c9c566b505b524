"""Real regression data with outliers planted into its targets."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.fitting import fitted, predictions
from lossimpl.claims.support.losses import Loss

TRAINING, TEST = 300, 142  # of the 442 patients


class Planted(NamedTuple):
    """Features (repetitions, samples, features), targets (repetitions, samples), and which of these are outliers."""

    x: Tensor
    y: Tensor
    outlier: Tensor


def planted(share: float, repetitions: int, seed: int, leverage: bool = False, symmetric: bool = False) -> Planted:
    """The diabetes table with an intercept, shuffled per repetition; outliers are planted into the training targets.

    Five standard deviations are added to the targets of patients chosen at random, or with `leverage` of those with
    the largest body mass. With `symmetric` half of them are moved down instead of up.
    """
    table = data.diabetes()
    order = data.shuffles(TRAINING + TEST, repetitions, seed)
    x = torch.cat([table.x, torch.ones(len(table.y), 1, dtype=table.x.dtype)], 1)[order]
    y = table.y[order]
    place = (
        x[:, :TRAINING, 2].argsort(dim=1, descending=True)
        if leverage
        else torch.arange(TRAINING).expand(repetitions, -1)
    )
    outlier = torch.zeros_like(y, dtype=torch.bool).scatter(1, place[:, : round(share * TRAINING)], True)
    sign = torch.where(torch.arange(y.shape[1]) % 2 == 0, 1.0, -1.0 if symmetric else 1.0).expand_as(y)
    return Planted(x, torch.where(outlier, y + 5.0 * sign, y), outlier)


def trained(loss: Loss, data: Planted) -> Tensor:
    """The weights of a linear model per repetition, fitted to the training samples."""
    return fitted(loss, data.x[:, :TRAINING], data.y[:, :TRAINING])


def test_error(weights: Tensor, data: Planted) -> Tensor:
    """The mean squared error on the test samples, which have no outliers, (repetitions,)."""
    return (predictions(weights, data.x[:, TRAINING:]) - data.y[:, TRAINING:]).square().mean(1)
