"""Linear least squares has a closed form; whether solving the normal equations is a good way to it."""

import numpy as np
import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.fitting import descent, predictions
from lossimpl.claims.support.losses import mse, slope
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

REPETITIONS, STEPS = 10, 4000
NEAR = (1e-2, 1e-4, 1e-6, 1e-7)  # how much a copied column differs from its original


def experiment(seed: int) -> Measured:
    """Closed form against gradient descent on bootstrap samples, then with a column that is nearly a copy."""
    generator = torch.Generator().manual_seed(seed)
    table = data.diabetes()
    rows = torch.randint(len(table.y), (REPETITIONS, len(table.y)), generator=generator)
    x, y = table.x[rows], table.y[rows]
    closed = torch.stack([normal(*one) for one in zip(x, y, strict=True)])
    *_, found = descent(mse, x, y, lambda step: 0.2, STEPS)
    gradient = torch.einsum("rn,rnd->rd", slope(mse, predictions(closed, x), y), x) / x.shape[1]
    near = {size: [with_copy(*one, size, generator) for one in zip(x, y, strict=True)] for size in NEAR}
    samples = {
        "descent": relative(predictions(found, x), predictions(closed, x)),
        "gradient": gradient.norm(dim=1).tolist(),
        "collinear": near[NEAR[-1]],
    }
    points = [Point("normal equations", size, float(np.mean(errors))) for size, errors in near.items()]
    axes = ("difference of two nearly equal columns", "relative error of the predictions")
    return Measured(samples, Curves(*axes, points, log_x=True, log_y=True))


def normal(x: Tensor, y: Tensor) -> Tensor:
    """The weights w that solve xᵀx w = xᵀy."""
    weights: Tensor = torch.linalg.solve(x.T @ x, x.T @ y)
    return weights


def relative(found: Tensor, expected: Tensor) -> list[float]:
    """The distance of each row from the expected one, over its norm."""
    distances: list[float] = ((found - expected).norm(dim=1) / expected.norm(dim=1)).tolist()
    return distances


def with_copy(x: Tensor, y: Tensor, size: float, generator: torch.Generator) -> float:
    """The error of the normal equations' predictions when the first column has a copy that differs by `size`.

    A solver by singular values gives the expected predictions.
    """
    noise = torch.randn(len(y), 1, generator=generator, dtype=x.dtype)
    x = torch.cat([x, x[:, :1] + size * noise], 1)
    expected = x @ torch.from_numpy(np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0])
    return float((x @ normal(x, y) - expected).norm() / expected.norm())


CLAIM = Claim(
    statement=(
        "With the mean squared error a linear model has a closed-form solution, the normal equations, and gradient "
        "descent converges to it."
    ),
    source=Source(
        "Goodfellow, Bengio and Courville, Deep Learning, section 5.1.4", 2016, "https://www.deeplearningbook.org/"
    ),
    criteria={
        "descent": Criterion(
            "relative distance of the predictions after 4,000 steps of gradient descent", at_most=1e-3
        ),
        "gradient": Criterion("norm of the MSE's gradient at the closed form", at_most=1e-10),
        "collinear": Criterion(
            "relative error of the predictions with two columns that differ by 1e-7",
            at_most=1e-6,
            only_when="no column is nearly a combination of others: the normal equations square the condition number",
        ),
    },
    experiment=experiment,
)
