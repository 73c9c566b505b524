"""Inputs that the losses over classes share: literal bases and builders of logits with labels."""

from __future__ import annotations

import torch
from torch import Tensor

from lossimpl.agreement.check import Builder

LN2 = 0.69314718055994531
BASE = {"input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]], "target": [2, 0, 1, 1]}
SOFT = {
    "input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]],
    "target": [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]],
}
WEIGHT = [0.5, 2.0, 0.0]
SPATIAL = {
    "input": [[[0.5, -1.0], [2.0, 0.25], [1.0, -3.0]], [[1.5, 0.0], [-0.5, 0.75], [0.0, 0.0]]],
    "target": [[2, 0], [1, -100]],
}


def logits(rows: int, classes: int, shift: float = 0.0) -> Builder:
    """Normal logits and uniform labels, including the first and the last class."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(rows * 1_000_003 + classes)
        input = torch.randn(rows, classes, generator=generator) + shift
        target = torch.randint(0, classes, (rows,), generator=generator)
        target[0], target[-1] = classes - 1, 0
        return {"input": input.to(device, dtype), "target": target.to(device)}

    return build


def leading(margin: float) -> Builder:
    """Rows whose target logit is the row's maximum plus `margin`."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        made = logits(8, 128)(dtype, device)
        rows = torch.arange(8, device=device)
        made["input"][rows, made["target"]] = made["input"].max(dim=1).values + margin
        return made

    return build


def constant(rows: int, classes: int, value: float) -> Builder:
    """Equal logits: the loss of every row is log(classes)."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        target = torch.arange(rows, device=device) % classes
        return {"input": torch.full((rows, classes), value, device=device, dtype=dtype), "target": target}

    return build


def sequence_first(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Logits (s, b, v) as a view (b, v, s), as sequence models pass them."""
    generator = torch.Generator().manual_seed(3)
    made = torch.randn(5, 2, 7, generator=generator).to(device, dtype)
    target = torch.randint(0, 7, (5, 2), generator=generator).to(device)
    return {"input": made.permute(1, 2, 0), "target": target.t()}


def every_other_column(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Columns [:, ::2] of wider logits."""
    made = logits(5, 14)(dtype, device)
    return {"input": made["input"][:, ::2], "target": made["target"] % 7}


def channels_last(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Image logits in channels-last memory."""
    generator = torch.Generator().manual_seed(4)
    made = torch.randn(2, 5, 3, 4, generator=generator).to(device, dtype)
    target = torch.randint(0, 5, (2, 3, 4), generator=generator).to(device)
    return {"input": made.contiguous(memory_format=torch.channels_last), "target": target}
