"""QuACK's cross entropy: CUDA only (Hopper and Blackwell), index targets; the loss is float32 whatever the logits."""

from __future__ import annotations

from torch import Tensor

from lossimpl.adapters._importing import imported, refuse, why_not
from lossimpl.spec import Unavailable

MODULE = "quack.cross_entropy"


def available(device: str) -> str | None:
    """Why QuACK cannot run here, or None."""
    return "QuACK has kernels for CUDA only" if device == "cpu" else why_not(MODULE)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """quack.cross_entropy.cross_entropy on rows of logits."""
    if input.device.type != "cuda":
        raise Unavailable("QuACK has kernels for CUDA only")
    refuse(
        "QuACK",
        class_weights=weight is not None,
        label_smoothing=label_smoothing != 0,
        probability_targets=target.is_floating_point(),
        logits_of_other_than_two_dimensions=input.dim() != 2,
        float64=input.element_size() == 8,
        an_empty_batch=input.numel() == 0,
    )
    result: Tensor = imported(MODULE).cross_entropy(input, target, ignore_index=ignore_index, reduction=reduction)
    return result.to(input.dtype)
