"""Cauchy (Lorentzian) loss: log(1 + (d / c)^2), whose influence falls again for far outliers.

Source: M. J. Black and P. Anandan, The robust estimation of multiple motions, CVIU 63, 1996.
"""

import math

import torch
from torch import Tensor

from lossimpl import Case, Implementation, Loss

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def normal(
    shape: tuple[int, ...], dtype: torch.dtype, device: str, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Prediction and target, standard normal."""
    first, second = (torch.randn(shape, generator=generator).to(device, dtype) for _ in range(2))
    return first, second


def cauchy(input: Tensor, target: Tensor, reduction: str = "mean", c: float = 1.0) -> Tensor:
    """In one expression; low precision is computed in float32 and rounded once."""
    wide = torch.float32 if input.dtype in (torch.float16, torch.bfloat16) else input.dtype
    loss = torch.log1p(((input.to(wide) - target.to(wide)) / c).square())
    return (loss if reduction == "none" else getattr(loss, reduction)()).to(input.dtype)


def by_atan(input: Tensor, target: Tensor, reduction: str = "mean", c: float = 1.0) -> Tensor:
    """Through the angle: log(1 + tan^2) = -2 log cos. Loses digits for small differences, and is shown to."""
    loss = -2 * torch.log(torch.cos(torch.atan((input - target) / c)))
    return loss if reduction == "none" else getattr(loss, reduction)()


def check(input: Tensor, target: Tensor, reduction: str = "mean", c: float = 1.0) -> None:
    """Raise for another shape, an unknown reduction, or a scale that is not positive."""
    if input.shape != target.shape:
        raise ValueError(f"target has shape {list(target.shape)}: it must have input's {list(input.shape)}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction: it must be 'none', 'mean' or 'sum'")
    if not c > 0:
        raise ValueError(f"c must be greater than 0, got {c}")


def traffic(case: Case) -> int:
    """Two tensors read; a step writes one gradient."""
    return math.prod(case.shape) * BYTES[case.dtype] * (2 if case.mode == "forward" else 3)


def always(function):
    """A loader of a function that is at hand."""
    return lambda device: function


LOSS = Loss(
    name="cauchy_loss",
    formula="ℓ(x, y) = log(1 + ((x − y) / c)²)",
    reference="Black and Anandan, The robust estimation of multiple motions, CVIU 63, 1996",
    tensors=("input", "target"),
    differentiable=("input",),
    makers={"normal": normal},
    oracle=cauchy,
    check=check,
    traffic=traffic,
    implementations={
        "vectorized": Implementation("vectorized", always(cauchy)),
        "atan": Implementation("atan", always(by_atan)),
    },
)
