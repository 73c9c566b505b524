"""Cross entropy of logits over exclusive classes.

    index target y:        ℓ(x, y) = −w_y log p_y                      p = softmax(x)
    probability target t:  ℓ(x, t) = −Σ_c w_c t_c log p_c
    label smoothing ε:     (1 − ε) ℓ(x, y) − ε/C Σ_c w_c log p_c

Shapes: input (C), (N, C) or (N, C, d₁, …); an index target lacks the class dimension, a probability target has input's
shape. `mean` over index targets divides by the sum of w_y over rows that are not ignored, over probabilities by the
number of rows. An ignored row adds nothing to loss or gradient, whatever its logits. With every row ignored, or no
row, the mean is NaN and the sum 0, as in torch. A logit of −inf is an impossible class: its gradient is 0, its
own loss +inf, and a probability of exactly 0 for it adds 0. A logit of +inf, or a row of −inf alone, gives NaN.

Digits: with d = x_y − max x and S = Σ_{c≠y} exp(x_c − max x), ℓ = log(1 + S exp(−d)). A confident prediction keeps the
digits of its small loss and gradient that log(Σ exp) and p_y − 1 would round away.

Source: J. S. Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990; label smoothing:
C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016.

naive       one row after the other
vectorized  tensor expressions over all rows
torch       torch.nn.functional.cross_entropy
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import (
    cross_entropy as torch_cross_entropy,
)

from lossimpl.losses._checks import (
    require_constant,
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
    check_weight_shape,
    class_dim,
    class_rows,
    class_traffic,
    log_softmax,
    rows_shape,
    surprise,
    without_classes,
)
from lossimpl.losses._common import compute_dtype, each, promote, require_fixed
from lossimpl.losses._makers import class_makers
from lossimpl.spec import OVER_CLASSES, Loss


def has_probabilities(input: Tensor, target: Tensor) -> bool:
    """Whether the target holds class probabilities: it has input's shape, as torch decides."""
    return target.shape == input.shape and target.is_floating_point()


def result_dtype(input: Tensor, target: Tensor, weight: Tensor | None) -> torch.dtype:
    """The loss's type: input's; with probabilities, all of them promoted."""
    if not has_probabilities(input, target):
        return input.dtype
    return promote(input, target) if weight is None else promote(input, target, weight)


def no_classes(input: Tensor, target: Tensor, reduction: str, label_smoothing: float, dtype: torch.dtype) -> Tensor:
    """The loss over no class: smoothing of indices spreads ε over no class, which is 0/0."""
    undefined = label_smoothing > 0 and not has_probabilities(input, target)
    return without_classes(input, reduction, dtype, math.nan if undefined else 0.0)


def index_losses(
    rows: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Loss and divisor share of every row: (n), (n) from rows (n, C) and labels (n)."""
    kept = labels != ignore_index
    safe_rows = torch.where(kept.unsqueeze(-1), rows, 0.0)  # an ignored row's NaN must not reach the gradient
    safe_labels = torch.where(kept, labels, 0)
    share = torch.ones_like(rows[:, 0]) if weight is None else weight.to(rows.dtype)[safe_labels]
    loss = share * surprise(safe_rows, safe_labels)
    if label_smoothing > 0:
        log_p = log_softmax(safe_rows)
        spread = -(log_p if weight is None else log_p * weight).mean(-1)
        hard = (1 - label_smoothing) * loss if label_smoothing < 1 else 0.0  # never 0 times an infinite loss
        loss = hard + label_smoothing * spread
    return torch.where(kept, loss, 0.0), torch.where(kept, share, 0.0)


def probability_losses(rows: Tensor, target: Tensor, weight: Tensor | None, label_smoothing: float) -> Tensor:
    """Loss of every row: (n) from rows and probabilities (n, C)."""
    if label_smoothing > 0:
        each_class = rows.new_full((), label_smoothing) / rows.shape[-1]  # torch.jit.trace would divide in float32
        target = target * (1 - label_smoothing) + each_class
    log_p = log_softmax(rows)
    impossible = (target == 0) & log_p.isinf()
    weighted = target if weight is None else target * weight
    return -(weighted * log_p.masked_fill(impossible, 0.0)).sum(-1)


def finish(loss: Tensor, share: Tensor, reduction: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Rows (n) put back into shape, or their sum, or their sum over the sum of shares."""
    if reduction == "none":
        return loss.reshape(shape).to(dtype)
    return (loss.sum() / share.sum() if reduction == "mean" else loss.sum()).to(dtype)


def require_no_integer_probabilities(input: Tensor, target: Tensor) -> None:
    """Raise RuntimeError for integers in input's shape: one-hot rows, or labels with a dimension too many."""
    one_label = target.dim() == 1 and target.numel() == 1
    if target.shape == input.shape and not target.is_floating_point() and not one_label:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target.dtype} in input's shape "
            f"{list(input.shape)}: give target.to({input.dtype}), or the class indices of one-hot rows, "
            f"target.argmax({class_dim(input)})"
        )


def oracle(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """In float64: every target as a distribution t, then −Σ_c w_c t_c log p_c, relative to the likeliest class."""
    rows, shape = class_rows(input), rows_shape(input)
    w = rows.new_ones(rows.shape[-1]) if weight is None else weight
    if has_probabilities(input, target):
        t, share = class_rows(target), rows.new_ones(len(rows))
        kept = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    else:
        labels = target.reshape(-1).long()
        kept = labels != ignore_index
        labels = torch.where(kept, labels, 0)
        t, share = torch.zeros_like(rows), torch.where(kept, w[labels], 0.0)
        t[torch.arange(len(rows)), labels] = 1.0
    t = t * (1 - label_smoothing) + label_smoothing / max(rows.shape[-1], 1)
    log_p = log_probabilities(torch.where(kept.unsqueeze(-1), rows, 0.0))
    log_p = log_p.masked_fill((t == 0) & log_p.isinf(), 0.0)
    loss = torch.where(kept, -(w * t * log_p).sum(-1), 0.0)
    return finish(loss, share, reduction, shape, input.dtype)


def log_probabilities(rows: Tensor) -> Tensor:
    """Log probabilities from the distances to the likeliest class, with slopes that lose no digit to cancellation.

    With S the sum of the other classes' exponentials, the likeliest class has −log1p(S), whose slope S / (1 + S) comes
    from the distances; any other class has x_c − max x − log1p(S), whose slope p_c − 1 has p_c ≤ 1/2.
    """
    if rows.numel() == 0:
        return rows
    at = rows.argmax(-1, keepdim=True)
    is_top = torch.zeros_like(rows, dtype=torch.bool).scatter(-1, at, True)
    top = rows.gather(-1, at)
    shifted = rows - top.detach()
    others = shifted.exp().masked_fill(is_top, 0.0).sum(-1, keepdim=True)
    total = torch.log1p(others + (top - top.detach()).expm1())
    leading = (top - top).detach() - torch.log1p((rows - top).exp().masked_fill(is_top, 0.0).sum(-1, keepdim=True))
    return torch.where(is_top, leading, shifted - total)


def naive(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Row by row."""
    dtype = result_dtype(input, target, weight)
    if input.shape[class_dim(input)] == 0:
        return no_classes(input, target, reduction, label_smoothing, dtype)
    rows = class_rows(input).to(compute_dtype(dtype))
    if has_probabilities(input, target):
        t = class_rows(target).to(compute_dtype(dtype))
        loss = each(lambda x, t_x: probability_losses(x, t_x, weight, label_smoothing), rows, t)
        return finish(loss, torch.ones_like(loss), reduction, rows_shape(input), dtype)
    require_fixed(rows.shape[0])
    one = [
        index_losses(x[None], y[None], weight, ignore_index, label_smoothing)
        for x, y in zip(rows, target.reshape(-1).long(), strict=True)
    ]
    empty = rows.sum(-1)
    loss = torch.cat([loss for loss, _ in one]) if one else empty
    share = torch.cat([share for _, share in one]) if one else empty
    return finish(loss, share, reduction, rows_shape(input), dtype)


def vectorized(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """All rows at once."""
    dtype = result_dtype(input, target, weight)
    if input.shape[class_dim(input)] == 0:
        return no_classes(input, target, reduction, label_smoothing, dtype)
    rows = class_rows(input).to(compute_dtype(dtype))
    if has_probabilities(input, target):
        loss = probability_losses(rows, class_rows(target).to(compute_dtype(dtype)), weight, label_smoothing)
        share = torch.ones_like(loss)
    else:
        loss, share = index_losses(rows, target.reshape(-1).long(), weight, ignore_index, label_smoothing)
    return finish(loss, share, reduction, rows_shape(input), dtype)


def framework(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """torch.nn.functional.cross_entropy with our argument order."""
    return torch_cross_entropy(
        input, target, weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def check(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(input=input, target=target)
    require_reduction(reduction)
    require_whole(ignore_index=ignore_index)
    require_number(label_smoothing=label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    require_input_first(input=input, target=target)
    require_floating(input=input)
    require_no_integer_probabilities(input, target)
    if has_probabilities(input, target):
        if ignore_index >= 0:
            raise RuntimeError(
                "ignore_index is not supported for floating point target: "
                f"got ignore_index={ignore_index} with class probabilities"
            )
    else:
        check_class_shapes(input, target)
        check_labels(input, target, ignore_index)
        check_class_weight(input, weight=weight)
    check_weight_shape(input, weight=weight)
    require_constant(weight=weight)


LOSS = Loss(
    name="cross_entropy",
    formula="ℓ(x, y) = −w_y log softmax(x)_y;  with smoothing ε: (1 − ε) ℓ − ε/C Σ_c w_c log softmax(x)_c",
    reference="Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990",
    tensors=("input", "target"),
    differentiable=("input",),
    makers=class_makers(),
    oracle=oracle,
    check=check,
    traffic=class_traffic,
    shapes=OVER_CLASSES,
)
