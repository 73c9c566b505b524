"""Batch size against the time of an epoch and against convergence."""

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.losses import cross_entropy
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.training import Split, accuracy, epochs, epochs_until, split
from lossimpl.measure import wall

REPETITIONS, EPOCHS, GOAL, RATE = 5, 15, 0.9, 0.1
BATCHES = (16, 64, 256)


def experiment(seed: int) -> Measured:
    """Linear classifiers of digits by stochastic descent: epochs to 90 % accuracy, and seconds per epoch."""
    found = split(data.digits(), 1200, REPETITIONS, seed)
    fixed = {batch: needed(found, RATE, batch) for batch in BATCHES}
    scaled = {batch: needed(found, RATE * batch / BATCHES[0], batch) for batch in BATCHES}
    seconds = [[one_epoch(found, batch) for _ in range(4)] for batch in (16, 256)]
    samples = {
        "time": [large / small for small, large in zip(*seconds, strict=True)],
        "epochs": (fixed[256] / fixed[16]).tolist(),
        "scaled": (scaled[256] / scaled[16]).tolist(),
    }
    runs = {"same learning rate": fixed, "rate in proportion to the batch": scaled}
    points = [Point(name, batch, float(one.mean())) for name, group in runs.items() for batch, one in group.items()]
    return Measured(samples, Curves("batch size", "epochs to 90 % accuracy", points, log_x=True))


def needed(found: Split, rate: float, batch: int) -> Tensor:
    """The epochs to the goal, (repetitions,)."""
    path = [accuracy(one, found) for one in epochs(found, cross_entropy, 10, rate, batch, EPOCHS)]
    return epochs_until(torch.stack(path), GOAL)


def one_epoch(found: Split, batch: int) -> float:
    """The seconds of an epoch."""
    begin = wall.now()
    list(epochs(found, cross_entropy, 10, RATE, batch, 1))
    return wall.now() - begin


CLAIM = Claim(
    statement="Larger batches make an epoch faster, but training needs more epochs.",
    source=Source(
        "Goodfellow, Bengio and Courville, Deep Learning, section 8.1.3", 2016, "https://www.deeplearningbook.org/"
    ),
    criteria={
        "time": Criterion("seconds of an epoch with batches of 256 over those of 16", at_most=0.9, timed=True),
        "epochs": Criterion("epochs to 90 % with batches of 256 over those of 16, same learning rate", at_least=1.5),
        "scaled": Criterion(
            "the same ratio with a learning rate in proportion to the batch size",
            at_least=1.5,
            only_when="the learning rate stays the same; scaled with the batch size it makes up for larger batches",
        ),
    },
    experiment=experiment,
)
