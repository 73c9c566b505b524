"""Cross-entropy against the squared error of probabilities as a classifier's loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.losses import bce, cross_entropy, mse, slope
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.training import Objective, Split, accuracy, epochs, epochs_until, split

REPETITIONS, EPOCHS, RATE = 5, 40, 0.2
RATES = (0.5, 4.0)


def softmax_mse(logits: Tensor, labels: Tensor) -> Tensor:
    """The squared distance of the softmax from the one-hot label."""
    return mse(logits.softmax(1), F.one_hot(labels, logits.shape[1]).to(logits.dtype))


def sigmoid_mse(logits: Tensor, labels: Tensor) -> Tensor:
    """The squared distance of the sigmoid from the label."""
    return mse(logits.sigmoid().flatten(), labels.to(logits.dtype))


def binary(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of a column of logits."""
    return bce(logits.flatten(), labels.to(logits.dtype))


def experiment(seed: int) -> Measured:
    """Gradients of a confident mistake; epochs to a goal on digits and tumours, with one and with the best rate."""
    digits = split(data.digits(), 1200, REPETITIONS, seed)
    tumours = split(data.cancer(), 400, REPETITIONS, seed)
    wrong = torch.tensor([[-10.0]])
    sizes = [float(slope(lambda x, y, f=f: f(x, y), wrong, torch.ones(1)).abs()) for f in (binary, sigmoid_mse)]  # type: ignore[misc]  # a default argument
    best = [
        min((needed(digits, one, 10, rate, 0.85) for rate in RATES), key=lambda t: float(t.mean()))
        for one in (cross_entropy, softmax_mse)
    ]
    samples = {
        "gradient": [sizes[0] / sizes[1]],
        "classes": (
            needed(digits, softmax_mse, 10, RATE, 0.85) / needed(digits, cross_entropy, 10, RATE, 0.85)
        ).tolist(),
        "binary": (
            needed(tumours, sigmoid_mse, 1, 0.5, 0.95, 10.0) / needed(tumours, binary, 1, 0.5, 0.95, 10.0)
        ).tolist(),
        "tuned": (best[1] / best[0]).tolist(),
    }
    logits = torch.linspace(-10, 10, 41)[:, None]
    points = [
        Point(name, float(z), max(float(g.abs()), 1e-12))
        for name, loss in {"cross-entropy": binary, "MSE of the sigmoid": sigmoid_mse}.items()
        for z, g in zip(logits, slope(loss, logits, torch.ones(41)), strict=True)
    ]
    return Measured(samples, Curves("logit of a positive sample", "size of the gradient", points, log_y=True))


def needed(found: Split, objective: Objective, classes: int, rate: float, goal: float, bias: float = 0.0) -> Tensor:
    """The epochs to a test accuracy, (repetitions,)."""
    path = [accuracy(one, found) for one in epochs(found, objective, classes, rate, 64, EPOCHS, bias)]
    return epochs_until(torch.stack(path), goal)


CLAIM = Claim(
    statement=(
        "A classifier learns faster with cross-entropy than with the mean squared error, whose gradient vanishes when "
        "the output is saturated and wrong."
    ),
    source=Source(
        "Nielsen, Neural Networks and Deep Learning, chapter 3",
        2015,
        "http://neuralnetworksanddeeplearning.com/chap3.html",
    ),
    criteria={
        "gradient": Criterion(
            "gradient of cross-entropy over that of MSE at a logit that is wrong by 10", at_least=1000
        ),
        "classes": Criterion(
            "epochs to 85 % of the digits with MSE over those with cross-entropy, same rate", at_least=1.2
        ),
        "binary": Criterion(
            "epochs to 95 % of the tumours from a confidently wrong start, the same ratio", at_least=1.2
        ),
        "tuned": Criterion(
            "epochs on the digits with the better of two rates for each, MSE over cross-entropy",
            at_least=1.2,
            only_when="both use the same learning rate; with a larger one MSE needs no more epochs on easy data",
        ),
    },
    experiment=experiment,
)
