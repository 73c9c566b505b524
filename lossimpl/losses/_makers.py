"""Seeded inputs for the losses: normal, heavy-tailed, confident, extreme, imbalanced.

A maker takes (shape, dtype, device, generator) and returns the loss's tensors in order. Numbers are drawn in float32
on the CPU and then rounded to `dtype`, so that every device and precision starts from the same draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Maker = Callable[[tuple[int, ...], torch.dtype, str, torch.Generator], tuple[Tensor, ...]]
Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=generator)


def heavy_tailed(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Student's t with two degrees of freedom: a few numbers are far out, as outliers are."""
    chi_square = torch.rand(shape, generator=generator).clamp_min(1e-6).log().mul(-2)
    return torch.randn(shape, generator=generator) / (chi_square / 2).sqrt()


def extreme(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Signs times magnitudes spread evenly in the exponent from 1e-6 to 1e4."""
    sign = torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
    return sign * 10 ** (torch.rand(shape, generator=generator) * 10 - 6)


def near(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Small differences, as late in training."""
    return torch.randn(shape, generator=generator) * 1e-3


DRAWS: Mapping[str, Draw] = {"normal": normal, "heavy_tailed": heavy_tailed, "extreme": extreme, "near": near}


def regression(draw: Draw, count: int = 2) -> Maker:
    """Prediction and target (or anchor, positive, negative), each drawn alike around one center."""

    def make(shape: tuple[int, ...], dtype: torch.dtype, device: str, generator: torch.Generator) -> tuple[Tensor, ...]:
        base = normal(shape, generator) if draw is near else torch.zeros(())
        return tuple((base + draw(shape, generator)).to(device, dtype) for _ in range(count))

    return make


def binary(draw: Draw, probability: bool, rate: float = 0.5, confident: bool = False) -> Maker:
    """Logits (or probabilities) with 0/1 targets, of which a share `rate` is positive."""

    def make(shape: tuple[int, ...], dtype: torch.dtype, device: str, generator: torch.Generator) -> tuple[Tensor, ...]:
        target = (torch.rand(shape, generator=generator) < rate).float()
        logits = draw(shape, generator)
        if confident:
            logits = logits + (target * 2 - 1) * 12
        input = logits.sigmoid() if probability else logits
        return input.to(device, dtype), target.to(device, dtype)

    return make


def classes(draw: Draw, confident: bool = False, imbalanced: bool = False) -> Maker:
    """Logits of shape (N, C, ...) with class indices of shape (N, ...)."""

    def make(shape: tuple[int, ...], dtype: torch.dtype, device: str, generator: torch.Generator) -> tuple[Tensor, ...]:
        count = shape[1] if len(shape) > 1 else shape[0]
        target_shape = (shape[0], *shape[2:]) if len(shape) > 1 else ()
        uniform = torch.rand(target_shape, generator=generator)
        skewed = uniform**4 if imbalanced else uniform
        target = (skewed * count).long().clamp(max=max(count - 1, 0))
        logits = draw(shape, generator)
        if confident and count:
            dim = 1 if len(shape) > 1 else 0
            logits.scatter_add_(dim, target.unsqueeze(dim), torch.full_like(logits, 14.0))
        return logits.to(device, dtype), target.to(device)

    return make


def regression_makers(count: int = 2) -> dict[str, Any]:
    """The makers of the losses that compare real numbers."""
    return {name: regression(draw, count) for name, draw in DRAWS.items()}


def binary_makers(probability: bool) -> dict[str, Any]:
    """The makers of the losses over independent yes/no decisions."""
    return {
        "normal": binary(normal, probability),
        "heavy_tailed": binary(heavy_tailed, probability),
        "confident": binary(normal, probability, confident=True),
        "extreme": binary(extreme, probability),
        "imbalanced": binary(normal, probability, rate=0.01),
    }


def class_makers() -> dict[str, Any]:
    """The makers of the losses over exclusive classes."""
    return {
        "normal": classes(normal),
        "heavy_tailed": classes(heavy_tailed),
        "confident": classes(normal, confident=True),
        "extreme": classes(extreme),
        "imbalanced": classes(normal, imbalanced=True),
    }
