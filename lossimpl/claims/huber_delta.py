"""What Huber's delta does to robustness and convergence, and whether it has to be tuned."""

import torch
from torch import Tensor

from lossimpl.claims.support.fitting import descent, predictions
from lossimpl.claims.support.losses import Loss, huber, mae, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.outliers import TRAINING, Planted, planted, test_error, trained

REPETITIONS = 20
DELTAS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 100.0)
STEPS = 400


def experiment(seed: int) -> Measured:
    """Errors on clean targets over delta, and steps of gradient descent to the minimum."""
    data = planted(0.15, REPETITIONS, seed)
    found = {delta: test_error(trained(huber(delta), data), data) for delta in DELTAS}
    means = {delta: float(one.mean()) for delta, one in found.items()}
    best = found[min(means, key=means.__getitem__)]
    steps = {delta: steps_to_minimum(huber(delta), data) for delta in (0.01, 1.0)}
    samples = {
        "mse": (best / test_error(trained(mse, data), data)).tolist(),
        "mae": (best / test_error(trained(mae, data), data)).tolist(),
        "large": (found[100.0] / best).tolist(),
        "convergence": (steps[0.01] / steps[1.0]).tolist(),
    }
    points = [Point("Huber", delta, value) for delta, value in means.items()]
    return Measured(
        samples, Curves("δ (standard deviations of the target)", "squared error on clean targets", points, log_x=True)
    )


def steps_to_minimum(loss: Loss, data: Planted) -> Tensor:
    """The step of gradient descent from which the predictions stay within 20 % of those of the best fit."""
    x, y = data.x[:, :TRAINING], data.y[:, :TRAINING]
    best = predictions(trained(loss, data), x)
    path = descent(loss, x, y, lambda step: 0.2, STEPS)
    near = torch.stack([(predictions(one, x) - best).norm(dim=1) < 0.2 * best.norm(dim=1) for one in path])
    return near.shape[0] - near.flip(0).long().cumprod(0).sum(0).double()


CLAIM = Claim(
    statement=(
        "Huber's loss combines the robustness of MAE with the convergence of MSE, but its delta has to be tuned: a "
        "small one converges like MAE, a large one is as sensitive to outliers as MSE."
    ),
    source=Source(
        "Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35",
        1964,
        "https://doi.org/10.1214/aoms/1177703732",
    ),
    criteria={
        "mse": Criterion("error of the best delta over that of MSE", at_most=0.95),
        "mae": Criterion("error of the best delta over that of MAE", at_most=1.1),
        "large": Criterion("error of delta = 100 over that of the best", at_least=1.05),
        "convergence": Criterion("steps to the minimum with delta = 0.01 over those with delta = 1", at_least=2.0),
    },
    experiment=experiment,
)
