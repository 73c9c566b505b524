"""How far one outlier moves a fitted constant: the influence curves of the losses."""

import torch

from lossimpl.claims.support import data
from lossimpl.claims.support.fitting import constant
from lossimpl.claims.support.losses import Loss, huber, log_cosh, mae, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

REPETITIONS, SIZE = 20, 100
DISTANCES = (0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)
LOSSES: dict[str, Loss] = {"MSE": mse, "log-cosh": log_cosh, "Huber, δ = 1": huber(1.0), "MAE": mae}


def experiment(seed: int) -> Measured:
    """One target at distance d from the mean is added to real targets; how many times 1/n the constant moves."""
    generator = torch.Generator().manual_seed(seed)
    target = data.diabetes().y
    y = target[torch.randint(len(target), (REPETITIONS, SIZE), generator=generator)]
    moved: dict[str, list[torch.Tensor]] = {name: [] for name in LOSSES}
    for name, loss in LOSSES.items():
        before = constant(loss, y)
        for distance in DISTANCES:
            outlier = torch.full((REPETITIONS, 1), distance, dtype=y.dtype) + y.mean(1, keepdim=True)
            moved[name].append((constant(loss, torch.cat([y, outlier], 1)) - before) * (SIZE + 1))
    growth = {name: (values[-1] - values[-2]).tolist() for name, values in moved.items()}
    points = [
        Point(name, distance, values.mean().item())
        for name, rows in moved.items()
        for distance, values in zip(DISTANCES, rows, strict=True)
    ]
    samples = {"mse": growth["MSE"], **{key: growth[name] for key, name in BOUNDED.items()}}
    axes = ("distance of the outlier (standard deviations)", "shift of the constant × sample size")
    return Measured(samples, Curves(*axes, points, log_x=True, log_y=True))


BOUNDED = {"mae": "MAE", "huber": "Huber, δ = 1", "log_cosh": "log-cosh"}
WHAT = "what 900 standard deviations more add to the shift × sample size"
CLAIM = Claim(
    statement=(
        "A single outlier moves the fit of the mean squared error in proportion to its distance; its influence on the "
        "fits of MAE, Huber and log-cosh is bounded."
    ),
    source=Source(
        "Hampel, The influence curve and its role in robust estimation, J. Am. Stat. Assoc. 69",
        1974,
        "https://doi.org/10.1080/01621459.1974.10482962",
    ),
    criteria={
        "mse": Criterion(f"MSE: {WHAT}", at_least=899, at_most=901),
        **{key: Criterion(f"{name}: {WHAT}", at_most=0.01) for key, name in BOUNDED.items()},
    },
    experiment=experiment,
)
