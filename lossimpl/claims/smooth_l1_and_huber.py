"""Smooth L1 and Huber: a factor between them, and the limits of both."""

import torch

from lossimpl.claims.support.losses import huber, mae, mse, smooth_l1
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

BETAS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3)


def experiment(seed: int) -> Measured:
    """The losses of random heavy-tailed errors over beta or delta."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1000, generator=generator, dtype=torch.float64)
    x = x / torch.rand(1000, generator=generator, dtype=torch.float64).clamp_min(0.01)
    y = torch.zeros_like(x)
    found = {beta: (float(smooth_l1(beta)(x, y)), float(huber(beta)(x, y))) for beta in BETAS}
    absolute, squared = float(mae(x, y)), float(mse(x, y))
    samples = {
        "factor": [max(abs(h / (beta * s) - 1) for beta, (s, h) in found.items())],
        "l1": [found[BETAS[0]][0] / absolute],
        "half": [found[BETAS[-1]][1] / squared],
        "mse": [found[BETAS[-1]][1] / squared],
    }
    points = [Point("smooth L1 over MAE", beta, s / absolute) for beta, (s, _) in found.items()]
    points += [Point("Huber over MSE", beta, h / squared) for beta, (_, h) in found.items()]
    return Measured(samples, Curves("β or δ", "ratio of the losses", points, log_x=True))


CLAIM = Claim(
    statement=(
        "Smooth L1 is Huber's loss divided by beta; with beta → 0 it becomes L1, and with delta → ∞ Huber's loss "
        "becomes the MSE."
    ),
    source=Source(
        "PyTorch documentation, SmoothL1Loss",
        2026,
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html",
    ),
    criteria={
        "factor": Criterion("largest relative difference of Huber and beta times smooth L1", at_most=1e-12),
        "l1": Criterion("smooth L1 over L1 at beta = 0.001", at_least=0.99, at_most=1.0),
        "half": Criterion("Huber over squared error at delta = 1,000", at_least=0.49, at_most=1.01),
        "mse": Criterion(
            "the same ratio, as the documentation has it",
            at_least=0.99,
            at_most=1.01,
            only_when="a factor is ignored: Huber's limit is half of the MSE",
        ),
    },
    experiment=experiment,
)
