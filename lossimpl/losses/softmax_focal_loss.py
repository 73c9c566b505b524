"""Focal loss over exclusive classes.

    ℓ(x, y) = −α_y (1 − p_y)^γ log p_y,   p = softmax(x)

Shapes: input (C), (N, C) or (N, C, d₁, …); target lacks the class dimension. `alpha` is None (1), a number for every
class, or a tensor of one weight per class. `mean` divides by the number of rows that are not ignored (alpha is a factor
of the loss, not a weight of the mean); with every row ignored, or no row, it is NaN and the sum 0, as for cross
entropy. With γ = 0 and no alpha it is cross entropy. torch has no such loss.

Digits: with d and S as for cross entropy, 1 − p_y = S / (S + exp d), which keeps the digits that 1 − p_y would lose,
and its power is taken through the logarithm, whose slope stays finite for every γ ≥ 0.

Source: T.-Y. Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (there for two classes).

naive       one row after the other
vectorized  tensor expressions over all rows
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor

from lossimpl.losses._checks import (
    require_floating,
    require_input_first,
    require_number,
    require_reduction,
    require_tensors,
    require_whole,
)
from lossimpl.losses._classes import (
    check_class_shapes,
    check_class_weight,
    check_labels,
    class_dim,
    class_rows,
    class_traffic,
    rows_shape,
    split,
    surprise_of,
    without_classes,
)
from lossimpl.losses._common import compute_dtype, require_fixed
from lossimpl.losses._makers import class_makers
from lossimpl.losses.cross_entropy import finish
from lossimpl.spec import OVER_CLASSES, Loss

Alpha = float | Tensor | None


def is_per_class(alpha: Alpha) -> TypeGuard[Tensor]:
    """Whether alpha is a tensor of one weight per class; one without dimensions is a number."""
    return isinstance(alpha, Tensor) and alpha.dim() > 0


def row_alpha(alpha: Alpha, labels: Tensor) -> Tensor | float:
    """α_y of each row."""
    if alpha is None:
        return 1.0
    return alpha[labels] if is_per_class(alpha) else alpha


def focus(d: Tensor, s: Tensor, gamma: float) -> Tensor:
    """(1 − p_y)^γ from d and S; zero where the row is certain (S = 0)."""
    if gamma == 0:
        return torch.ones_like(s)
    certain = s == 0
    safe = torch.where(certain, 1.0, s)
    log_rest = safe.log() - torch.log(safe + d.exp())
    return torch.where(certain, 0.0, torch.exp(gamma * log_rest))


def row_losses(rows: Tensor, labels: Tensor, alpha: Alpha, gamma: float, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Loss of every row, and 1 where it counts: (n), (n) from rows (n, C) and labels (n)."""
    if rows.shape[0] == 0:
        return rows.sum(-1), rows.sum(-1).detach()
    kept = labels != ignore_index
    safe_labels = torch.where(kept, labels, 0)
    d, s = split(torch.where(kept.unsqueeze(-1), rows, 0.0), safe_labels)
    surprise, factor = surprise_of(d, s), focus(d, s, gamma)
    underflows = d.exp() == 0  # p_y is 0, the factor's slope p log p too: not 0 times a product that may overflow
    beyond = factor.detach() * surprise.masked_fill(factor == 0, 0.0)
    product = torch.where(underflows, beyond, factor * torch.where(underflows, 0.0, surprise))
    return torch.where(kept, row_alpha(alpha, safe_labels) * product, 0.0), kept.to(rows.dtype)


def oracle(
    input: Tensor,
    target: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """In float64: 1 − p_y as the sum of the other probabilities, log p_y through it where p_y is the larger part."""
    labels = target.reshape(-1).long()
    kept = labels != ignore_index
    safe = torch.where(kept, labels, 0).unsqueeze(-1)
    rows = torch.where(kept.unsqueeze(-1), class_rows(input), 0.0)
    own = torch.zeros_like(rows, dtype=torch.bool).scatter(-1, safe, True)
    rest = torch.softmax(rows, -1).masked_fill(own, 0.0).sum(-1)
    small = rest < 0.5
    gathered = torch.log_softmax(rows, -1).gather(-1, safe).squeeze(-1)
    log_p = torch.where(small, torch.log1p(-torch.where(small, rest, 0.0)), gathered)
    power = torch.where(rest > 0, torch.where(rest > 0, rest, 1.0) ** gamma, float(gamma == 0))
    power = torch.where(log_p < -745, power.detach(), power)  # p_y is 0 in float64, and so is the slope p log p
    loss = row_alpha(alpha, safe.squeeze(-1)) * power * -log_p
    return finish(torch.where(kept, loss, 0.0), kept.to(rows.dtype), reduction, rows_shape(input), input.dtype)


def naive(
    input: Tensor,
    target: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Row by row."""
    if input.shape[class_dim(input)] == 0:
        return without_classes(input, reduction, input.dtype)
    rows, labels = class_rows(input).to(compute_dtype(input.dtype)), target.reshape(-1).long()
    require_fixed(rows.shape[0])
    one = [row_losses(x[None], y[None], alpha, gamma, ignore_index) for x, y in zip(rows, labels, strict=True)]
    loss = torch.cat([loss for loss, _ in one]) if one else rows.sum(-1)
    share = torch.cat([share for _, share in one]) if one else rows.sum(-1)
    return finish(loss, share, reduction, rows_shape(input), input.dtype)


def vectorized(
    input: Tensor,
    target: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """All rows at once."""
    if input.shape[class_dim(input)] == 0:
        return without_classes(input, reduction, input.dtype)
    rows = class_rows(input).to(compute_dtype(input.dtype))
    loss, share = row_losses(rows, target.reshape(-1).long(), alpha, gamma, ignore_index)
    return finish(loss, share, reduction, rows_shape(input), input.dtype)


def check(
    input: Tensor,
    target: Tensor,
    alpha: Alpha = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(input=input, target=target)
    require_reduction(reduction)
    require_whole(ignore_index=ignore_index)
    require_number(gamma=gamma)
    if not gamma >= 0:
        raise ValueError(f"gamma must be at least 0, got {gamma}")
    require_input_first(input=input, target=target)
    require_floating(input=input)
    check_class_shapes(input, target)
    check_labels(input, target, ignore_index)
    if is_per_class(alpha):
        check_class_weight(input, alpha=alpha)
    elif alpha is not None:
        require_number(alpha=alpha)


LOSS = Loss(
    name="softmax_focal_loss",
    formula="ℓ(x, y) = −α_y (1 − p_y)^γ log p_y;  p = softmax(x)",
    reference="Lin et al., Focal Loss for Dense Object Detection, ICCV 2017",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=class_makers(),
    oracle=oracle,
    check=check,
    traffic=class_traffic,
    shapes=OVER_CLASSES,
)
