"""Seeded inputs of a case: the same numbers on every machine and device."""

from __future__ import annotations

import zlib
from typing import Any

import torch

from lossimpl.registry import get
from lossimpl.spec import Case


def make(case: Case) -> dict[str, Any]:
    """Name -> tensor for the loss's tensors, then its options.

    The seed follows from the case's loss, shape, maker and seed: other modes, precisions, devices and options see the
    same draw. An option with the value "random" becomes one positive random weight per class (or per element).

    >>> from lossimpl.spec import Case
    >>> make(Case("mse_loss", (2, 3)))["input"].shape
    torch.Size([2, 3])
    """
    loss = get(case.loss)
    if case.maker not in loss.makers:
        raise ValueError(f"unknown maker {case.maker!r} of {case.loss}: it must be one of {', '.join(loss.makers)}")
    dtype = getattr(torch, case.dtype)
    seed = zlib.crc32(f"{case.loss}-{case.shape_text}-{case.maker}-{case.seed}".encode())
    generator = torch.Generator().manual_seed(seed)
    tensors = loss.makers[case.maker](case.shape, dtype, case.device, generator)
    options = dict(case.options)
    for name, value in options.items():
        if value == "random":
            weights = torch.rand(loss.shapes.weight(case.shape), generator=generator) + 0.5
            options[name] = weights.to(case.device, dtype)
    return dict(zip(loss.tensors, tensors, strict=True)) | options
