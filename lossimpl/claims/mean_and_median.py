"""The constant that a loss prefers: mean, median, and what lies in between."""

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.fitting import constant
from lossimpl.claims.support.losses import Loss, huber, log_cosh, mae, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

REPETITIONS, SIZE = 40, 201  # an odd size: the median is one of the targets
LOSSES: dict[str, Loss] = {"MSE": mse, "log-cosh": log_cosh, "Huber, δ = 1": huber(1.0), "MAE": mae}


def experiment(seed: int) -> Measured:
    """Constants fitted to bootstrap samples of a skewed real target, and to tiny samples of any shape."""
    generator = torch.Generator().manual_seed(seed)
    y = data.cancer().x[:, 3]  # the area of the tumour, skewed to the right
    y = y[torch.randint(len(y), (REPETITIONS, SIZE), generator=generator)]
    fits = {name: constant(loss, y) for name, loss in LOSSES.items()}
    mean, median = y.mean(1), y.median(1).values
    tiny = torch.randn(500, 5, generator=generator, dtype=torch.float64) * 3
    samples = {
        "mean": (fits["MSE"] - mean).abs().tolist(),
        "median": (fits["MAE"] - median).abs().tolist(),
        "between": between(y, mean, median).tolist(),
        "always": [between(tiny, tiny.mean(1), tiny.median(1).values).mean().item()],
    }
    points = [Point(name, i, value) for name, fit in fits.items() for i, value in enumerate(fit.tolist())]
    return Measured(samples, Curves("bootstrap sample", "fitted constant (standard deviations)", points))


def between(y: Tensor, mean: Tensor, median: Tensor) -> Tensor:
    """1.0 for each row whose Huber and log-cosh fits both lie between mean and median."""
    low, high = torch.minimum(mean, median) - 1e-9, torch.maximum(mean, median) + 1e-9
    inside = [(fit >= low) & (fit <= high) for fit in (constant(loss, y) for loss in (huber(1.0), log_cosh))]
    return (inside[0] & inside[1]).double()


CLAIM = Claim(
    statement=(
        "The constant that minimises the mean squared error is the mean of the targets, the one that minimises the "
        "mean absolute error is their median, and those of Huber's loss and log-cosh lie in between."
    ),
    source=Source(
        "Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, sections 2.4 and 10.6",
        2009,
        "https://hastie.su.domains/ElemStatLearn/",
    ),
    criteria={
        "mean": Criterion("distance of the MSE's constant from the mean", at_most=1e-9),
        "median": Criterion("distance of the MAE's constant from the median", at_most=1e-9),
        "between": Criterion("share of real samples whose Huber and log-cosh constants lie in between", at_least=0.95),
        "always": Criterion(
            "share of 500 random samples of five targets with both in between",
            at_least=1.0,
            only_when="the targets are skewed to one side; in other samples Huber and log-cosh leave the range",
        ),
    },
    experiment=experiment,
)
