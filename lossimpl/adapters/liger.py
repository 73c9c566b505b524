"""Liger's fused cross entropy: CUDA only; it writes the gradient over the logits, so it gets a copy of them."""

from __future__ import annotations

from torch import Tensor

from lossimpl.adapters._importing import imported, refuse, why_not
from lossimpl.spec import Unavailable

MODULE = "liger_kernel.transformers.functional"


def available(device: str) -> str | None:
    """Why Liger cannot run here, or None."""
    return "Liger has kernels for CUDA only" if device == "cpu" else why_not(MODULE)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """liger_kernel.transformers.functional.liger_cross_entropy on rows of logits."""
    if input.device.type != "cuda":
        raise Unavailable("Liger has kernels for CUDA only")
    refuse(
        "Liger",
        probability_targets=target.is_floating_point(),
        logits_of_other_than_two_dimensions=input.dim() != 2,
        float64=input.element_size() == 8,
        an_empty_batch=input.numel() == 0,
    )
    result: Tensor = imported(MODULE).liger_cross_entropy(
        input.clone(),
        target,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    return result
