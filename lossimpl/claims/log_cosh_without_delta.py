"""Whether log-cosh is as robust as a tuned Huber loss without anything to tune."""

import torch

from lossimpl.claims.support.losses import Loss, huber, log_cosh, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.outliers import planted, test_error, trained

REPETITIONS = 20
SCALES = (0.01, 0.1, 1.0, 10.0, 100.0)
DELTAS = (0.1, 0.3, 1.0)  # in standard deviations of the target


def experiment(seed: int) -> Measured:
    """Errors on clean targets, in which the target is expressed in ever larger units; Huber's delta is tuned."""
    data = planted(0.15, REPETITIONS, seed)
    tuned = torch.stack([test_error(trained(huber(delta), data), data) for delta in DELTAS])
    best = tuned[tuned.mean(1).argmin()]
    squared = test_error(trained(mse, data), data)
    found = {scale: test_error(trained(in_unit(scale), data), data) for scale in SCALES}
    samples = {
        "mse": (found[1.0] / squared).tolist(),
        "huber": (found[1.0] / best).tolist(),
        "units": (found[0.01] / best).tolist(),
    }
    points = [Point("log-cosh", scale, float((one / best).mean())) for scale, one in found.items()]
    points += [Point("MSE", scale, float((squared / best).mean())) for scale in SCALES]
    curves = Curves(
        "standard deviation of the target in its unit", "squared error over that of a tuned Huber", points, log_x=True
    )
    return Measured(samples, curves)


def in_unit(scale: float) -> Loss:
    """Log-cosh of targets and predictions in a unit in which they are `scale` times as large."""
    return lambda prediction, target: log_cosh(prediction * scale, target * scale) / scale


CLAIM = Claim(
    statement=(
        "Log-cosh has the advantages of Huber's loss, robustness to outliers among them, without a delta that has to "
        "be tuned."
    ),
    source=Source(
        "Grover, 5 Regression Loss Functions All Machine Learners Should Know",
        2018,
        "https://heartbeat.comet.ml/5-regression-loss-functions-all-machine-learners-should-know-4fb140e9d4b0",
    ),
    criteria={
        "mse": Criterion("error of log-cosh over that of MSE, targets of deviation 1", at_most=0.95),
        "huber": Criterion("error of log-cosh over that of a tuned Huber, targets of deviation 1", at_most=1.1),
        "units": Criterion(
            "the same with targets of deviation 0.01",
            at_most=1.1,
            only_when="the residuals are of the order of 1: the unit of the target takes the place of delta",
        ),
    },
    experiment=experiment,
)
