"""Cross entropy and softmax focal loss: the operators, and the functions with the losses' arguments."""

import functools
from typing import Any

import torch
from torch import Tensor

from lossimpl.losses.softmax_focal_loss import is_per_class
from lossimpl.spec import Unavailable

from . import tuning
from .classes import class_rows_kernel
from .launch import CHECKED, INTERPRETED, compute_dtype, compute_type, launch, multiprocessors
from .operators import Grads, Operator, register
from .probability_losses import cross_entropy_probabilities
from .rows import class_dim, class_rows, first_read, row_gradient, row_losses, tile_options, unit_rows, upstream_stride
from .sums import finish, valid_weight
from .support import loss_dtype, needs, on_host, require, require_floating, require_reduction, require_tensors

INDEX_ARGUMENTS = (
    "Tensor input, Tensor target, Tensor? weight, int ignore_index, float smoothing, float alpha, float gamma"
)


def run(
    focal: bool, tensors: Any, numbers: Any, losses: Tensor | None, grad: Tensor | None,
    *, divisor: Tensor | None = None, upstream: Tensor | None = None,
) -> None:  # fmt: skip
    """Launch the kernel: one program per row, or several where the row is long and read twice."""
    x, target, weight = tensors
    ignore_index, smoothing, alpha, gamma = numbers
    x = unit_rows(x)
    rows, width = x.shape
    if rows == 0:
        return
    plain = smoothing == 0 and compute_dtype(x) == torch.float32
    shared = plain and grad is not None
    parts = tuning.row_parts(width, x.element_size(), multiprocessors(x.device)) if shared else 1
    workspace = x.new_zeros(1 + rows * parts, dtype=torch.int64) if parts > 1 else None
    start = functools.partial(
        launch, class_rows_kernel, x.device, rows * parts,
        x, target, weight, upstream, divisor, losses, grad, workspace, width, x.stride(0), upstream_stride(upstream),
        ignore_index, smoothing, alpha, gamma,
        FOCAL=focal, SMOOTH=smoothing > 0, WHOLE=tuning.stays_on_chip(width, x.element_size()),
        FIRST_READ=first_read((grad,)), COUNT=tuning.count_block(rows), PARTS=parts,
        COMPUTE=compute_type(x), maxnreg=tuning.ROW_REGISTERS if plain else None,
        **tile_options(x, x.element_size()), **CHECKED,
    )  # fmt: skip
    if INTERPRETED and workspace is not None:  # programs run one after the other there: a first pass publishes all sums
        start(WAIT=False)
        workspace[0] = 0
    start(WAIT=True)


def _divisor(focal: bool, tensors: Any, numbers: Any, reduction: str) -> Tensor | None:
    """The divisor of the mean, on the device: the summed weight of the targets not ignored, or for focal their number.

    For few rows it is empty memory, which the kernel itself fills.
    """
    if reduction != "mean":
        return None
    x, target, weight = tensors
    if x.shape[0] and tuning.count_block(x.shape[0]):
        unfilled: Tensor = x.new_empty(1, dtype=compute_dtype(x))
        return unfilled
    return valid_weight(target, None if focal else weight, numbers[0], x.shape[1], compute_dtype(x))


def _contiguous(tensors: Any) -> Any:
    """Targets and weights made contiguous: the kernels index them without strides."""
    x, target, weight = tensors
    return x, target.contiguous(), None if weight is None else weight.contiguous()


def _forward(
    focal: bool, tensors: Any, numbers: Any, reduction: str, dtype: torch.dtype, losses: Tensor | None, grads: Grads
) -> Tensor:
    """The loss, and the gradient for an upstream gradient of one, in one pass."""
    tensors = _contiguous(tensors)
    x = tensors[0]
    divisor = _divisor(focal, tensors, numbers, reduction)
    rows = row_losses(x, compute_dtype(x)) if losses is None else losses
    run(focal, tensors, numbers, rows, grads[0], divisor=divisor)
    return finish(rows, divisor, 1.0, dtype) if losses is None else losses


def _backward(focal: bool, upstream: Tensor, tensors: Any, numbers: Any, reduction: str, grads: Grads) -> None:
    """The gradient, recomputed from the logits."""
    tensors = _contiguous(tensors)
    run(
        focal, tensors, numbers, None, grads[0], divisor=_divisor(focal, tensors, numbers, reduction), upstream=upstream
    )


def _public(focal: bool, tensors: Any, numbers: Any) -> dict[str, Any]:
    """The call as keyword arguments of the loss."""
    x, target, weight = tensors
    ignore_index, smoothing, alpha, gamma = numbers
    common = {"input": x, "target": target, "ignore_index": ignore_index}
    if focal:
        return common | {"alpha": alpha if weight is None else weight, "gamma": gamma}
    return common | {"weight": weight, "label_smoothing": smoothing}


def _operator(name: str, focal: bool) -> Any:
    return register(
        Operator(
            name, name, INDEX_ARGUMENTS, 3, 1, functools.partial(_forward, focal), functools.partial(_backward, focal),
            row_losses, row_gradient, functools.partial(_public, focal),
        )
    )  # fmt: skip


CROSS_ENTROPY = _operator("cross_entropy", focal=False)
SOFTMAX_FOCAL = _operator("softmax_focal_loss", focal=True)


def _index_call(
    operator: Any, x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int,
    numbers: tuple[float, float, float], reduction: str,
) -> Tensor:  # fmt: skip
    """Check what the kernel relies on, arrange the logits in rows, and run the operator."""
    require_floating(x)
    require_reduction(reduction)
    expected = x.shape[:1] + x.shape[2:] if x.dim() > 1 else ()
    shapes = (expected, (1,) * (x.dim() == 1))
    require(x.dim() > 0 and target.shape in shapes, "native takes targets of input's shape without the classes")
    require(target.dtype in (torch.int64, torch.uint8), "native takes class indices of torch.int64 or torch.uint8")
    if target.dtype == torch.uint8:
        target = target.long()
    require_class_weight(x, weight)
    rows = class_rows(x)
    if on_host(target):
        inside = (target == ignore_index) | ((target >= 0) & (target < x.shape[class_dim(x)]))
        require(bool(inside.all()), "native takes targets from 0 to the number of classes - 1")
    dtype = loss_dtype(x)
    loss = operator(
        rows, target.reshape(-1), weight, ignore_index, *numbers, reduction, dtype, *needs(reduction, x)
    )[0]  # fmt: skip
    return loss.reshape(expected) if reduction == "none" else loss  # type: ignore[no-any-return]  # torch.ops is untyped


def require_class_weight(x: Tensor, weight: Tensor | None) -> None:
    """One weight per class, which needs no gradient."""
    if weight is None:
        return
    fits = weight.shape == (x.shape[class_dim(x)],) and weight.dtype == x.dtype
    require(fits, "native takes one weight per class, of input's dtype")
    if weight.requires_grad and torch.is_grad_enabled():
        raise Unavailable("native computes no gradient for weight or alpha")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross entropy of logits over classes, with class indices or class probabilities as targets."""
    require_tensors(input, target, weight)
    require(0.0 <= label_smoothing <= 1.0, "native takes label_smoothing between 0 and 1")
    if target.shape == input.shape and target.is_floating_point():
        require(input.dim() > 0, "native takes an input with a dimension of classes")
        require_class_weight(input, weight)
        return cross_entropy_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    return _index_call(CROSS_ENTROPY, input, target, weight, ignore_index, (label_smoothing, 1.0, 0.0), reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | Tensor | None,
    gamma: float,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """Focal loss over exclusive classes."""
    weight, factor = (alpha, 1.0) if is_per_class(alpha) else (None, 1.0 if alpha is None else float(alpha))
    require_tensors(input, target, weight)
    require(gamma >= 0, "native takes gamma of 0 or more")
    return _index_call(SOFTMAX_FOCAL, input, target, weight, ignore_index, (0.0, factor, gamma), reduction)
