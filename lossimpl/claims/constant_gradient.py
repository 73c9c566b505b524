"""The size of MAE's gradient near its minimum, and what it means for the step size."""

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.fitting import descent, predictions
from lossimpl.claims.support.losses import Loss, mae, mse, slope
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

REPETITIONS, SAMPLES, STEPS, RATE = 40, 101, 1000, 0.1
EVERY = 50
FEATURES = [2, 3]  # body mass and blood pressure, hardly correlated


def experiment(seed: int) -> Measured:
    """Linear models by gradient descent on targets that they fit exactly, and with MAE on noisy targets too."""
    generator = torch.Generator().manual_seed(seed)
    features = data.diabetes().x[:, FEATURES]
    x = features[torch.randint(len(features), (REPETITIONS, SAMPLES), generator=generator)]
    best = torch.randn(REPETITIONS, len(FEATURES), generator=generator, dtype=x.dtype)
    runs: dict[str, tuple[Loss, float, float]] = {
        "MSE, fixed step": (mse, RATE, 0.0),
        "MAE, fixed step": (mae, RATE, 0.0),
        "MAE, half the step": (mae, RATE / 2, 0.0),
        "MAE, decaying step": (mae, RATE, 0.05),
    }
    gaps = {name: errors_on_the_way(x, best, *one) for name, one in runs.items()}
    last = {name: rows[:, -1] for name, rows in gaps.items()}
    noisy = predictions(best, x) + torch.randn(REPETITIONS, SAMPLES, generator=generator, dtype=x.dtype)
    errors = torch.tensor([1e-6, 1.0, 1e6], dtype=torch.float64)
    samples = {
        "size": [float(slope(mae, errors, 0 * errors).std())],
        "shrinks": [float(slope(mse, errors, 0 * errors)[0])],
        "mse": last["MSE, fixed step"].tolist(),
        "oscillates": last["MAE, fixed step"].tolist(),
        "step": (last["MAE, half the step"] / last["MAE, fixed step"]).tolist(),
        "decay": (last["MAE, decaying step"] / last["MAE, fixed step"]).tolist(),
        "noisy": last_step(x, noisy).tolist(),
    }
    points = [
        Point(name, (i + 1) * EVERY, max(float(rows[:, i].mean()), 1e-16))
        for name, rows in gaps.items()
        for i in range(rows.shape[1])
    ]
    return Measured(samples, Curves("step", "mean absolute error", points, log_y=True))


def errors_on_the_way(x: Tensor, best: Tensor, loss: Loss, rate: float, decay: float) -> Tensor:
    """The mean absolute error after every fiftieth step, (repetitions, shown steps), averaged over ten steps before."""
    y = predictions(best, x)
    path = descent(loss, x, y, lambda step: rate / (1 + decay * step), STEPS)
    errors = torch.stack([(predictions(one, x) - y).abs().mean(1) for one in path], 1)
    return errors.unfold(1, 10, 1).mean(2)[:, EVERY - 10 :: EVERY]


def last_step(x: Tensor, y: Tensor) -> Tensor:
    """How far the last fixed step with MAE moves the predictions, over what the first did, (repetitions,)."""
    first, *_, before, last = (predictions(one, x) for one in descent(mae, x, y, lambda step: RATE, STEPS))
    return (last - before).abs().mean(1) / first.abs().mean(1)


CLAIM = Claim(
    statement=(
        "MAE's gradient is as large for small errors as for large ones, so gradient descent with a fixed step size "
        "oscillates around the minimum, where MSE, whose gradient shrinks, converges; a decaying step size cures it."
    ),
    source=Source(
        "Grover, 5 Regression Loss Functions All Machine Learners Should Know",
        2018,
        "https://heartbeat.comet.ml/5-regression-loss-functions-all-machine-learners-should-know-4fb140e9d4b0",
    ),
    criteria={
        "size": Criterion("spread of MAE's gradient over errors of 1e-6, 1 and 1e6", 0.0, 0.0),
        "shrinks": Criterion("MSE's gradient at an error of 1e-6", at_most=1e-5),
        "mse": Criterion("mean absolute error after 1,000 fixed steps with MSE", at_most=1e-6),
        "oscillates": Criterion("the same with MAE", at_least=1e-3),
        "step": Criterion("that error with half the step, over it with the whole", at_least=0.2, at_most=0.9),
        "decay": Criterion("that error with a decaying step, over it with a fixed one", at_most=0.2),
        "noisy": Criterion(
            "how far MAE's last fixed step moves the predictions, over the first; targets with noise of deviation 1",
            at_least=0.5,
            only_when="the model fits the targets exactly; in noise errors of both signs cancel, and the step shrinks",
        ),
    },
    experiment=experiment,
)
