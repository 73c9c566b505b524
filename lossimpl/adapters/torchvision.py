"""torchvision's sigmoid focal loss: the same formula and signature as ours."""

from __future__ import annotations

from torch import Tensor

from lossimpl.adapters._importing import imported, why_not

MODULE = "torchvision.ops.focal_loss"


def available(device: str) -> str | None:
    """Why torchvision cannot run here, or None."""
    del device
    return why_not(MODULE)


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """torchvision.ops.sigmoid_focal_loss."""
    result: Tensor = imported(MODULE).sigmoid_focal_loss(inputs, targets, alpha, gamma, reduction)
    return result
