"""Cross entropy with class probabilities as an operator."""

from typing import Any

import torch
from torch import Tensor

from .launch import compute_dtype, compute_type, launch
from .operators import Grads, Operator, register
from .probabilities import probability_rows_kernel
from .rows import class_rows, first_read, row_gradient, row_losses, tile_options, unit_rows, upstream_stride
from .sums import finish
from .support import loss_dtype, needs, require, require_floating, require_reduction

ARGUMENTS = "Tensor input, Tensor target, Tensor? weight, float smoothing"


def run(
    tensors: Any, smoothing: float, losses: Tensor | None, grads: Grads, factor: float, upstream: Tensor | None = None
) -> None:
    """Launch the kernel: one program per row."""
    x, t, weight = unit_rows(tensors[0]), unit_rows(tensors[1]), tensors[2]
    weight = None if weight is None else weight.contiguous()
    if x.shape[0] == 0:
        return
    launch(
        probability_rows_kernel, x.device, x.shape[0],
        x, t, weight, upstream, losses, *grads, x.shape[1], x.stride(0), t.stride(0), upstream_stride(upstream),
        smoothing, factor,
        ALIKE=x.stride(0) == t.stride(0), FIRST_READ=first_read(grads), COMPUTE=compute_type(x, t),
        **tile_options(x, min(x.element_size(), t.element_size())),
    )  # fmt: skip


def mean_factor(x: Tensor, reduction: str) -> float:
    """The reciprocal of the number of rows for the mean, NaN without rows; otherwise one."""
    if reduction != "mean":
        return 1.0
    return 1.0 / x.shape[0] if x.shape[0] else float("nan")


def _forward(
    tensors: Any, numbers: Any, reduction: str, dtype: torch.dtype, losses: Tensor | None, grads: Grads
) -> Tensor:
    """The loss, and the gradients for an upstream gradient of one, in one pass."""
    x, factor = tensors[0], mean_factor(tensors[0], reduction)
    rows = row_losses(x, compute_dtype(*tensors[:2])) if losses is None else losses
    run(tensors, numbers[0], rows, grads, factor)
    return finish(rows, None, factor, dtype) if losses is None else losses


def _backward(upstream: Tensor, tensors: Any, numbers: Any, reduction: str, grads: Grads) -> None:
    """The gradients, recomputed from the inputs."""
    run(tensors, numbers[0], None, grads, mean_factor(tensors[0], reduction), upstream)


def _public(tensors: Any, numbers: Any) -> dict[str, Any]:
    """The call as keyword arguments of the loss."""
    x, t, weight = tensors
    return {"input": x, "target": t, "weight": weight, "label_smoothing": numbers[0]}


OPERATOR = register(
    Operator(
        "cross_entropy_probabilities", "cross_entropy", ARGUMENTS, 3, 2, _forward, _backward,
        row_losses, row_gradient, _public,
    )
)  # fmt: skip


def cross_entropy_probabilities(
    x: Tensor, t: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """Cross entropy where the target has the input's shape and holds probabilities."""
    require_floating(x, t)
    require_reduction(reduction)
    require(ignore_index < 0, "native takes no ignore_index with class probabilities")
    arguments = (class_rows(x), class_rows(t), weight, smoothing, reduction, loss_dtype(x, t))
    loss = OPERATOR(*arguments, *needs(reduction, x, t))[0]
    return loss.reshape(x.shape[:1] + x.shape[2:] if x.dim() > 1 else ()) if reduction == "none" else loss  # type: ignore[no-any-return]  # torch.ops is untyped
