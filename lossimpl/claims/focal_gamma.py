"""Focal loss's gamma: easy against hard samples, convergence, and wrong labels."""

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.losses import focal, slope
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.training import Objective, Split, accuracy, epochs, split

REPETITIONS, EPOCHS, RATE, NOISE = 8, 12, 0.5, 0.3
GAMMAS = (0.0, 1.0, 2.0, 5.0)


def experiment(seed: int) -> Measured:
    """Even against odd digits: shares of the gradient, and test accuracy with clean and with 30 % wrong labels."""
    digits = data.digits()
    clean = split(data.Table(digits.x, digits.y % 2), 1200, REPETITIONS, seed)
    wrong = torch.rand(clean.y.shape) < NOISE
    noisy = clean._replace(y=torch.where(wrong, 1 - clean.y, clean.y))
    paths = {name: {g: path(found, g) for g in GAMMAS} for name, found in {"clean": clean, "noisy": noisy}.items()}
    easy = [share(clean, path_weights(clean), gamma) for gamma in (0.0, 2.0)]
    last = {name: {g: one[-1] for g, one in group.items()} for name, group in paths.items()}
    samples = {
        "easy": (easy[1] / easy[0]).tolist(),
        "slower": (paths["clean"][0.0][0] - paths["clean"][5.0][0]).tolist(),
        "noise": (last["noisy"][0.0] - last["noisy"][5.0]).tolist(),
        "clean": (last["clean"][2.0] - last["clean"][0.0]).tolist(),
    }
    points = [Point(f"{name} labels", g, float(one.mean())) for name, group in last.items() for g, one in group.items()]
    return Measured(samples, Curves("γ", "test accuracy", points))


def objective(gamma: float) -> Objective:
    """The focal loss of a column of logits, without alpha."""
    return lambda logits, labels: focal(gamma)(logits.flatten(), labels.to(logits.dtype))


def path(found: Split, gamma: float) -> Tensor:
    """The test accuracy after each epoch, (epochs, repetitions)."""
    return torch.stack([accuracy(one, found) for one in epochs(found, objective(gamma), 1, RATE, 64, EPOCHS)])


def path_weights(found: Split) -> Tensor:
    """The weights after training with cross-entropy."""
    *_, weights = epochs(found, objective(0.0), 1, RATE, 64, EPOCHS)
    return weights


def share(found: Split, weights: Tensor, gamma: float) -> Tensor:
    """The share of the gradient that comes from samples whose class has a probability above 0.8, (repetitions,)."""
    logits = torch.bmm(found.x, weights)[..., 0]
    size = slope(focal(gamma), logits, found.y.to(logits.dtype)).abs().double()
    easy = torch.where(found.y == 1, logits, -logits).sigmoid() > 0.8
    return (size * easy).sum(1) / size.sum(1)


CLAIM = Claim(
    statement=(
        "Focal loss's gamma turns training from easy to hard samples; a large one slows it down, and with wrong "
        "labels, which are the hard samples then, it harms the accuracy."
    ),
    source=Source(
        "Lin et al., Focal loss for dense object detection, 2017; on wrong labels Ren et al., Learning to reweight "
        "examples for robust deep learning",
        2018,
        "https://arxiv.org/abs/1803.09050",
    ),
    criteria={
        "easy": Criterion("easy samples' share of the gradient with gamma = 2 over that with 0", at_most=0.8),
        "slower": Criterion("accuracy after one epoch with gamma = 0 minus that with 5", at_least=0.0),
        "noise": Criterion(
            "accuracy with 30 % wrong labels, gamma = 0 minus gamma = 5",
            at_least=0.0,
        ),
        "clean": Criterion(
            "accuracy with clean labels, gamma = 2 minus gamma = 0", at_least=-0.02, only_when="the data is imbalanced"
        ),
    },
    experiment=experiment,
)
