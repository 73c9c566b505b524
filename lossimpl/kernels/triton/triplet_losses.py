"""Triplet margin loss: the operator, and the function with the loss's arguments."""

import math
from typing import Any

import torch
from torch import Tensor

from . import tuning
from .launch import compute_dtype, compute_type, launch
from .operators import Grads, Operator, register
from .probability_losses import mean_factor
from .rows import require_width, row_losses, upstream_stride
from .sums import finish
from .support import broadcast, loss_dtype, needs, require, require_floating, require_reduction, require_tensors
from .triplet import triplet_kernel

ARGUMENTS = "Tensor anchor, Tensor positive, Tensor negative, float margin, float p, float eps, bool swap"


def norm_kind(p: float) -> int:
    """The kernel's constant for a norm of order p: 1, 2, 0 for infinity, 4 for -infinity, 5 for 0, else 3."""
    if p in (1.0, 2.0):
        return int(p)
    if math.isinf(p):
        return 0 if p > 0 else 4
    return 5 if p == 0 else 3


def unit_stride(x: Tensor) -> Tensor:
    """Rows whose elements are adjacent in memory."""
    return x if x.stride(1) == 1 else x.contiguous()


def run(
    tensors: Any, numbers: Any, losses: Tensor | None, grads: Grads, factor: float, upstream: Tensor | None = None
) -> None:
    """Launch the kernel: several rows per program."""
    a, p, n = (unit_stride(tensor) for tensor in tensors)
    margin, norm, eps, swap = numbers
    count, width = a.shape
    if count == 0:
        return
    columns = min(tuning.power_of_two(width), tuning.TRIPLET_TILE)
    rows = min(tuning.TRIPLET_TILE // columns, tuning.power_of_two(count))
    launch(
        triplet_kernel, a.device, -(-count // rows),
        a, p, n, upstream, losses, *grads, count, width, a.stride(0), p.stride(0), n.stride(0),
        upstream_stride(upstream), margin, norm, eps, factor,
        NORM=norm_kind(norm), SWAP=swap, COMPUTE=compute_type(a, p, n), ROWS=rows, WIDTH=columns,
        WHOLE=width <= columns, num_warps=tuning.TRIPLET_WARPS,
    )  # fmt: skip


def _forward(
    tensors: Any, numbers: Any, reduction: str, dtype: torch.dtype, losses: Tensor | None, grads: Grads
) -> Tensor:
    """The loss, and the gradients for an upstream gradient of one, in one pass."""
    factor = mean_factor(tensors[0], reduction)
    rows = row_losses(tensors[0], compute_dtype(*tensors)) if losses is None else losses
    run(tensors, numbers, rows, grads, factor)
    return finish(rows, None, factor, dtype) if losses is None else losses


def _backward(upstream: Tensor, tensors: Any, numbers: Any, reduction: str, grads: Grads) -> None:
    """The gradients, recomputed from the inputs."""
    run(tensors, numbers, None, grads, mean_factor(tensors[0], reduction), upstream)


def _public(tensors: Any, numbers: Any) -> dict[str, Any]:
    """The call as keyword arguments of the loss."""
    names = ("anchor", "positive", "negative", "margin", "p", "eps", "swap")
    return dict(zip(names, (*tensors, *numbers), strict=True))


OPERATOR = register(
    Operator(
        "triplet_margin_loss", "triplet_margin_loss", ARGUMENTS, 3, 3, _forward, _backward, row_losses,
        gradient=lambda x: x.new_empty(x.shape), public=_public,
    )
)  # fmt: skip


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    p: float,
    eps: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    """Hinge of margin + distance to the positive - distance to the negative."""
    require_tensors(anchor, positive, negative)
    require_floating(anchor, positive, negative)
    require_reduction(reduction)
    require(not margin <= 0, "native takes margin above 0")  # a margin of NaN makes the loss NaN
    same = 0 < anchor.dim() == positive.dim() == negative.dim()
    require(same, "native takes tensors with the same number of dimensions, at least one")
    tensors: tuple[Tensor, ...] = (anchor, positive, negative)
    if not anchor.shape == positive.shape == negative.shape:
        tensors = broadcast(*tensors)
    shape = tensors[0].shape
    require_width(shape[-1], "elements of a vector")
    rows = [tensor if tensor.dim() == 2 else tensor.reshape(-1, shape[-1]) for tensor in tensors]
    dtype = loss_dtype(*tensors)
    loss = OPERATOR(*rows, margin, p, eps, swap, reduction, dtype, *needs(reduction, *tensors))[0]
    return loss.reshape(shape[:-1]) if reduction == "none" else loss  # type: ignore[no-any-return]  # torch.ops is untyped
