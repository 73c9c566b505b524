"""Squared error by `addcmul`: 0 + d * d in one kernel. What it does not serve, it says."""

import torch
from torch import Tensor

from lossimpl import Unavailable


def addcmul(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Squared error of a full-precision pair without weights."""
    if weight is not None:
        raise Unavailable("addcmul does not serve weights")
    if input.dtype in (torch.float16, torch.bfloat16) or input.dtype != target.dtype:
        raise Unavailable(f"addcmul serves one full-precision dtype, got {input.dtype} and {target.dtype}")
    difference = input - target
    loss = torch.addcmul(torch.zeros_like(difference), difference, difference)
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction: it must be 'none', 'mean' or 'sum'")
    return loss.mean() if reduction == "mean" else loss.sum()
