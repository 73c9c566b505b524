"""Cross entropy and softmax focal loss as operators, and as functions with the losses' public signatures."""

import functools
from typing import Any

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

from . import tuning
from .classes import class_rows_kernel
from .launch import CHECKED, INTERPRETED, compute_dtype, compute_type, launch, multiprocessors
from .operators import Grads, Operator, register
from .probability_losses import cross_entropy_probabilities
from .rows import class_dim, class_rows, first_read, row_gradient, row_losses, tile_options, unit_rows, upstream_stride
from .sums import finish, valid_weight
from .support import loss_dtype, needs, on_host, require_device, require_floating, require_reduction

INDEX_ARGUMENTS = (
    "Tensor input, Tensor target, Tensor? weight, int ignore_index, float smoothing, float alpha, float gamma"
)


def run(
    focal: bool, tensors: Any, numbers: Any, losses: Tensor | None, grad: Tensor | None,
    *, divisor: Tensor | None = None, upstream: Tensor | None = None,
) -> None:  # fmt: skip
    """Launch the kernel: one program a row, or several where the row is long and read twice."""
    x, target, weight = tensors
    ignore_index, smoothing, alpha, gamma = numbers
    x = unit_rows(x)
    rows, width = x.shape
    if rows == 0:
        return
    slim = smoothing == 0 and compute_dtype(x) == torch.float32
    divided = slim and grad is not None
    parts = tuning.row_parts(width, x.element_size(), multiprocessors(x.device)) if divided else 1
    board = x.new_zeros(1 + rows * parts, dtype=torch.int64) if parts > 1 else None
    start = functools.partial(
        launch, class_rows_kernel, x.device, rows * parts,
        x, target, weight, upstream, divisor, losses, grad, board, width, x.stride(0), upstream_stride(upstream),
        ignore_index, smoothing, alpha, gamma,
        FOCAL=focal, SMOOTH=smoothing > 0, WHOLE=tuning.stays_on_chip(width, x.element_size()),
        FIRST_READ=first_read((grad,)), COUNT=tuning.count_block(rows), PARTS=parts,
        COMPUTE=compute_type(x), maxnreg=tuning.ROW_REGISTERS if slim else None,
        **tile_options(x, x.element_size()), **CHECKED,
    )  # fmt: skip
    if INTERPRETED and board is not None:  # one program runs after the other there: a first round fills the board
        start(WAIT=False)
        board[0] = 0
    start(WAIT=True)


def _divisor(focal: bool, tensors: Any, numbers: Any, reduction: str) -> Tensor | None:
    """What the mean divides by, on the device: the weights of the targets that count; for focal their number."""
    if reduction != "mean":
        return None
    x, target, weight = tensors
    if x.shape[0] and tuning.count_block(x.shape[0]):
        own: Tensor = x.new_empty(1, dtype=compute_dtype(x))
        return own  # filled by the kernel itself
    return valid_weight(target, None if focal else weight, numbers[0], x.shape[1], compute_dtype(x))


def _side_by_side(tensors: Any) -> Any:
    """Targets and weights without strides: the kernels read them by their number."""
    x, target, weight = tensors
    return x, target.contiguous(), None if weight is None else weight.contiguous()


def _forward(
    focal: bool, tensors: Any, numbers: Any, reduction: str, dtype: torch.dtype, losses: Tensor | None, grads: Grads
) -> Tensor:
    """The loss, and the gradient for an upstream gradient of one, in one pass."""
    tensors = _side_by_side(tensors)
    x = tensors[0]
    divisor = _divisor(focal, tensors, numbers, reduction)
    rows = row_losses(x, compute_dtype(x)) if losses is None else losses
    run(focal, tensors, numbers, rows, grads[0], divisor=divisor)
    return finish(rows, divisor, 1.0, dtype) if losses is None else losses


def _backward(focal: bool, upstream: Tensor, tensors: Any, numbers: Any, reduction: str, grads: Grads) -> None:
    """The gradient, from the logits once more."""
    tensors = _side_by_side(tensors)
    run(
        focal, tensors, numbers, None, grads[0], divisor=_divisor(focal, tensors, numbers, reduction), upstream=upstream
    )


def _public(focal: bool, tensors: Any, numbers: Any) -> dict[str, Any]:
    """The call by its public argument names."""
    x, target, weight = tensors
    ignore_index, smoothing, alpha, gamma = numbers
    common = {"input": x, "target": target, "ignore_index": ignore_index}
    if focal:
        return common | {"alpha": alpha if weight is None else weight, "gamma": gamma}
    return common | {"weight": weight, "label_smoothing": smoothing}


def _operator(name: str, loss: str, focal: bool) -> Any:
    return register(
        Operator(
            name, loss, INDEX_ARGUMENTS, 3, 1, functools.partial(_forward, focal), functools.partial(_backward, focal),
            row_losses, row_gradient, functools.partial(_public, focal),
        )
    )  # fmt: skip


CROSS_ENTROPY = _operator("cross_entropy", "cross_entropy", focal=False)
SOFTMAX_FOCAL = _operator("softmax_focal_loss", "softmax_focal_loss", focal=True)


def _index_call(
    operator: Any, x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int,
    numbers: tuple[float, float, float], reduction: str,
) -> Tensor:  # fmt: skip
    """Check what the kernel relies on, lay out rows, and run the operator."""
    require_floating(x)
    require_device(x.device, target, weight)
    require_reduction(reduction)
    expected = x.shape[:1] + x.shape[2:] if x.dim() > 1 else ()
    if x.dim() == 0 or target.shape not in (expected, (1,) * (x.dim() == 1)):
        raise RuntimeError(f"target of shape {tuple(expected)} is expected, got {tuple(target.shape)}")
    if target.dtype != torch.int64:
        if target.dtype != torch.uint8:
            raise RuntimeError(f"class indices must be torch.int64 or torch.uint8, got {target.dtype}")
        target = target.long()
    check_class_weight(x, weight)
    rows = class_rows(x)
    if on_host(target) and not ((target == ignore_index) | ((target >= 0) & (target < x.shape[class_dim(x)]))).all():
        raise IndexError(f"target out of bounds for {x.shape[class_dim(x)]} classes")
    dtype = loss_dtype(x)
    loss = operator(
        rows, target.reshape(-1), weight, ignore_index, *numbers, reduction, dtype, *needs(reduction, x)
    )[0]  # fmt: skip
    return loss.reshape(expected) if reduction == "none" else loss  # type: ignore[no-any-return]  # torch.ops is untyped


def check_class_weight(x: Tensor, weight: Tensor | None) -> None:
    """One weight a class, without gradient."""
    if weight is None:
        return
    classes = x.shape[class_dim(x)]
    if weight.shape != (classes,) or weight.dtype != x.dtype or weight.device != x.device:
        raise RuntimeError(f"weight must be a {x.dtype} tensor of {classes} elements on {x.device}")
    if weight.requires_grad and torch.is_grad_enabled():
        raise Unavailable("native computes no gradient for weight or alpha")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits over classes, with index or probability targets; see `lossimpl.cross_entropy`."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0, got {label_smoothing}")
    if target.shape == input.shape and target.is_floating_point():
        check_class_weight(input, weight)
        return cross_entropy_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    return _index_call(CROSS_ENTROPY, input, target, weight, ignore_index, (label_smoothing, 1.0, 0.0), reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss over exclusive classes; see `lossimpl.softmax_focal_loss`."""
    if not gamma >= 0:
        raise ValueError(f"gamma must be at least 0, got {gamma}")
    weight, factor = (alpha, 1.0) if isinstance(alpha, Tensor) else (None, 1.0 if alpha is None else alpha)
    return _index_call(SOFTMAX_FOCAL, input, target, weight, ignore_index, (0.0, factor, gamma), reduction)
