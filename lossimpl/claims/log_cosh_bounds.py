"""Log-cosh near zero and far out, its second derivative, and its naive formula."""

import math

import torch

from lossimpl import functional
from lossimpl.claims.support.losses import Loss, huber, log_cosh, slope
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

SHOWN = tuple(10 ** (i / 2) for i in range(-6, 4))


def experiment(seed: int) -> Measured:
    """Errors of both approximations over x, second differences at random places, and overflow in float32."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.logspace(-2, 1.2, 400, dtype=torch.float64)
    value = functional.log_cosh_loss(x, 0 * x, reduction="none", implementation="vectorized")
    near, far = x.square() / 2 - value, value - (x - math.log(2))
    at = torch.randn(1000, generator=generator, dtype=torch.float64)
    h = 2.0**-12
    curvature = (slope(log_cosh, at + h, 0 * at) - slope(log_cosh, at - h, 0 * at)) / (2 * h)
    big = torch.tensor([89.5, 1e4, 1e30])
    samples = {
        "near": [float((near / (x**4 / 12)).max())],
        "far": [float((far / torch.exp(-2 * x))[x < 8].max())],
        "twice": [float((curvature - at.cosh() ** -2).abs().max())],
        "huber": [jump(huber(1.0), 1.0)],
        "overflow": [float(big.cosh().log().isinf().sum())],
        "finite": [
            float(
                functional.log_cosh_loss(big, 0 * big, reduction="none", implementation="vectorized").isfinite().sum()
            )
        ],
    }
    t = torch.tensor(SHOWN, dtype=torch.float64)
    exact = functional.log_cosh_loss(t, 0 * t, reduction="none", implementation="vectorized")
    shown = {"x²/2": t.square() / 2, "|x| - log 2": t - math.log(2)}
    points = [
        Point(name, place, max(abs(float(error)), 1e-18))
        for name, values in shown.items()
        for place, error in zip(SHOWN, values - exact, strict=True)
    ]
    return Measured(samples, Curves("x", "error of the approximation", points, log_x=True, log_y=True))


def jump(loss: Loss, place: float) -> float:
    """How much the slope's slope changes across a place."""
    h = 2.0**-12
    x = torch.tensor([place - 2 * h, place - h, place + h, place + 2 * h], dtype=torch.float64)
    found = slope(loss, x, 0 * x)
    return float(((found[1] - found[0]) - (found[3] - found[2])).abs() / h)


CLAIM = Claim(
    statement=(
        "log(cosh(x)) is about x²/2 for small x and |x| - log 2 for large x, and unlike Huber's loss it is twice "
        "differentiable everywhere; the formula overflows if it is computed as written."
    ),
    source=Source(
        "Saleh and Saleh, Statistical properties of the log-cosh loss function used in machine learning",
        2022,
        "https://arxiv.org/abs/2208.04564",
    ),
    criteria={
        "near": Criterion("largest error of x²/2 over x⁴/12", at_most=1.0 + 1e-6),
        "far": Criterion("largest error of |x| - log 2 over exp(-2|x|)", at_most=1.0 + 1e-6),
        "twice": Criterion("largest difference of the second derivative from 1/cosh²(x)", at_most=1e-6),
        "huber": Criterion("jump of Huber's second derivative at delta", at_least=0.99),
        "overflow": Criterion("of 3 float32 errors from 89.5 on, those where log(cosh(x)) overflows", 3, 3),
        "finite": Criterion("of these, those where lossimpl.log_cosh_loss is finite", 3, 3),
    },
    experiment=experiment,
)
