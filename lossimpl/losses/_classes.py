"""What the two losses over exclusive classes share: rows of classes, log probabilities that keep digits, checks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossimpl.losses._checks import invalid_value, require_tensors
from lossimpl.losses._common import ITEM_BYTES, result_elements
from lossimpl.spec import Case

LABELS = "target must lie in 0..C - 1, for C classes, or be ignore_index"  # a graph may have a symbol for C
FAR = -20.0  # beyond it the target is not the likeliest class, and 1 + S is S to the last digit anyway


def class_dim(input: Tensor) -> int:
    """The dimension of the classes: the second, or the only one of an unbatched input."""
    return 1 if input.dim() > 1 else 0


def class_rows(input: Tensor) -> Tensor:
    """(C) or (N, C, d₁, …) as rows (n, C)."""
    moved = input.movedim(class_dim(input), -1)
    return moved.reshape(math.prod(moved.shape[:-1]), input.shape[class_dim(input)])


def rows_shape(input: Tensor) -> torch.Size:
    """Shape of the loss without reduction: input's without the classes."""
    return torch.Size(size for dim, size in enumerate(input.shape) if dim != class_dim(input))


def without_classes(input: Tensor, reduction: str, dtype: torch.dtype, number: float = 0.0) -> Tensor:
    """The loss over no class, which ignores every row: the mean is NaN; `number` each or as the sum, as in torch."""
    if reduction == "none":
        return (input.sum(class_dim(input)) + number).to(dtype)
    return (input.sum() + (math.nan if reduction == "mean" else number)).to(dtype)


def log_softmax(rows: Tensor) -> Tensor:
    """Log probabilities of rows (n, C); the maximum is subtracted first, so that a common offset costs no digit."""
    shifted = rows - rows.detach().amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def split(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row: d = x_y − max x, and S = Σ_{c≠y} exp(x_c − max x); (n) each.

    Both by one mask, whose slope torch.compile fuses with the rest where that of a gather would be a pass of its own.
    The labels are looked up among the classes, so that one outside them raises here too.
    """
    shifted = rows - rows.detach().amax(-1, keepdim=True)
    classes = torch.arange(rows.shape[-1], device=rows.device, dtype=torch.int32)  # as wide as a float: vectors pair up
    own = classes == classes.gather(0, labels).unsqueeze(-1)
    return torch.where(own, shifted, 0.0).sum(-1), torch.where(own, 0.0, shifted.exp()).sum(-1)


def surprise_of(d: Tensor, s: Tensor) -> Tensor:
    """−log p_y = log(1 + S exp(−d)); where exp(−d) could overflow, log(S + exp(d)) − d, which is the same."""
    close = d > FAR
    near = torch.log1p(s * torch.exp(-torch.where(close, d, 0.0)))
    far_d = torch.where(close, FAR, d)
    far = torch.log(torch.where(close, 1.0, s) + far_d.exp()) - far_d
    return torch.where(close, near, far)


def surprise(rows: Tensor, labels: Tensor) -> Tensor:
    """−log p_y of rows (n, C) at labels (n)."""
    if rows.shape[0] == 0:
        return rows.sum(-1)
    return surprise_of(*split(rows, labels))


def class_traffic(case: Case) -> int:
    """Logits read, an 8-byte label per row read, the result, and in a step the gradient written."""
    rows = case.shape[0] * math.prod(case.shape[2:]) if len(case.shape) > 1 else 1
    elements = math.prod(case.shape) * (1 if case.mode == "forward" else 2)
    return (elements + result_elements(case, rows)) * ITEM_BYTES[case.dtype] + 8 * rows


def check_class_shapes(input: Tensor, target: Tensor) -> None:
    """Raise ValueError for another batch size, RuntimeError for any other misfit of an index target."""
    require_tensors(input=input, target=target)
    if input.dim() == 0:
        raise RuntimeError("input has no dimension: it must have shape (C), (N, C) or (N, C, d1, ...)")
    if input.dim() == 1:
        if target.numel() != 1 or target.dim() > 1:
            raise ValueError(f"target has shape {list(target.shape)}: for an input of shape (C) it must be a scalar")
        return
    if list(target.shape[:1]) != [input.shape[0]]:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({sum(target.shape[:1])}): "
            f"input has shape {list(input.shape)}, target {list(target.shape)}"
        )
    wanted = [input.shape[0], *input.shape[2:]]
    if list(target.shape) != wanted:
        hint = "; class indices of one-hot rows are target.argmax(1)" if target.shape == input.shape else ""
        raise RuntimeError(
            f"Expected target size {wanted}, got {list(target.shape)}: input has {list(input.shape)}{hint}"
        )


def check_labels(input: Tensor, target: Tensor, ignore_index: int) -> None:
    """Raise RuntimeError for a type of label that torch refuses, IndexError for a label outside the classes."""
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {target.dtype}: class indices must be torch.int64 or "
            "torch.uint8, and class probabilities must be floating point and have input's shape"
        )
    classes = input.shape[class_dim(input)]
    worst = invalid_value(target, lambda one: labels_are_valid(one.long(), classes, ignore_index), LABELS)
    if worst is not None:
        raise IndexError(
            f"Target {worst} is out of bounds: target must lie in 0..{classes - 1} or be ignore_index={ignore_index}"
        )


def labels_are_valid(labels: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Which labels are a class or ignored. They are int64: a byte would be compared modulo 256."""
    return ((labels >= 0) & (labels < classes)) | (labels == ignore_index)


def check_class_weight(input: Tensor, **weights: Tensor | None) -> None:
    """Raise RuntimeError unless each weight given has one element per class and input's type."""
    check_weight_shape(input, **weights)
    for name, weight in weights.items():
        if weight is not None and weight.dtype != input.dtype:
            raise RuntimeError(f"expected {name} of input's type {input.dtype} but found {weight.dtype}")


def check_weight_shape(input: Tensor, **weights: Tensor | None) -> None:
    """Raise RuntimeError unless each weight given has one element per class."""
    classes = input.shape[class_dim(input)]
    for name, weight in weights.items():
        if weight is None:
            continue
        require_tensors(input=input, **{name: weight})
        if list(weight.shape) != [classes]:
            raise RuntimeError(
                f"{name} tensor should be defined either for all {classes} classes or no classes but got {name} "
                f"tensor of shape: {list(weight.shape)}"
            )
