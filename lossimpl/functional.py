"""Loss functions with interchangeable implementations, drop-in for torch.nn.functional.

Every function takes torch's arguments and one keyword more: `implementation` is "auto" (the fused native kernel where
it serves these tensors, torch's own or the tensor expression where it does not) or the name of one implementation. A
named one that cannot serve raises `Unavailable` with the reason; nothing falls back silently. `size_average` and
`reduce` are torch's, deprecated there for `reduction`, which they override; they stand at torch's positions.

All floating-point types are served; float16 and bfloat16 are computed in float32 and rounded once. The loss has no
unit; it is a tensor of input's type, reduced to a scalar unless `reduction` is "none". A mean is infinite where the
losses add up beyond the range of the type computed in, as torch's is; `native`, which sums in double precision, keeps
it finite in a plain call, but not under `torch.func` or forward-mode differentiation.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn._reduction import legacy_get_string

from lossimpl.arguments import require_flags
from lossimpl.dispatch import call
from lossimpl.spec import Name, Reduction


def warn_of_broadcast(input: Any, target: Any) -> None:
    """Warn as torch does: a target of another shape broadcasts, which is rarely intended. A compiler cannot warn."""
    try:
        differ = isinstance(input, Tensor) and isinstance(target, Tensor) and input.shape != target.shape
    except RuntimeError:  # a nested tensor has no shape; the loss refuses it by name
        return
    if differ and not torch.compiler.is_compiling():
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def deprecated(size_average: bool | None, reduce: bool | None) -> Any:
    """The reduction that torch's deprecated arguments ask for, with torch's warning; a compiler cannot warn."""
    require_flags(size_average=size_average, reduce=reduce)
    if not torch.compiler.is_compiling():
        return legacy_get_string(size_average, reduce)
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Cross entropy of logits over exclusive classes.

        ℓ(x, y) = −w_y log softmax(x)_y; with smoothing ε: (1 − ε) ℓ − ε/C Σ_c w_c log softmax(x)_c

    Shapes: input (C), (N, C) or (N, C, d₁, …) with C classes; target holds class indices (int64 or uint8) without the
    class dimension, or class probabilities in input's shape. `weight` has one factor per class.
    Edges: `mean` divides by the summed weight of the rows not ignored; NaN when there are none. Logits of −inf are
    impossible classes; +inf gives NaN.
    Raises: IndexError for a label outside 0..C−1 that is not `ignore_index`; ValueError for another batch size or an
    unknown reduction; RuntimeError for other misfits of shape or type, and for `ignore_index` with probabilities.
    Source: Bridle 1990; label smoothing: Szegedy et al. 2016.

    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    >>> cross_entropy(logits, torch.tensor([0, 1]), implementation="torch")
    tensor(0.1672)
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    return call("cross_entropy", implementation, input, target, weight, ignore_index, reduction, label_smoothing)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Binary cross entropy of probabilities.

        ℓ(p, y) = −w [y max(log p, −100) + (1 − y) max(log(1 − p), −100)]

    Shapes: input and target of one shape and type, both in [0, 1]; `weight` broadcasts to them.
    Edges: The logs are clamped at −100, and the gradient is (p − y) / max(p(1 − p), 1e−12), as torch documents. A
    sigmoid rounded to 0 or 1 has lost its gradient: prefer the form with logits. The mean of an empty batch is NaN.
    Raises: ValueError for another shape or an unknown reduction; RuntimeError for values outside [0, 1] (on CPU),
    another type, or a weight that does not broadcast.
    Source: Good 1952.

    >>> import torch
    >>> binary_cross_entropy(torch.tensor([0.9, 0.2]), torch.tensor([1.0, 0.0]), implementation="torch")
    tensor(0.1643)
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    return call("binary_cross_entropy", implementation, input, target, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Binary cross entropy of logits.

        ℓ(x, y) = w [v y softplus(−x) + (1 − y) softplus(x)], with v = `pos_weight`

    Shapes: input and target of one shape; `weight` and `pos_weight` broadcast to it.
    Edges: At infinite logits a term whose factor is 0 counts as 0 (torch gives NaN). The mean of an empty batch is
    NaN.
    Raises: ValueError for another shape or an unknown reduction; RuntimeError for a weight that does not broadcast.
    Source: Cox 1958.

    >>> import torch
    >>> binary_cross_entropy_with_logits(torch.tensor([0.0, -120.0]), torch.tensor([1.0, 1.0]), reduction="none",
    ...                                  implementation="torch")
    tensor([  0.6931, 120.0000])
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    return call("binary_cross_entropy_with_logits", implementation, input, target, weight, reduction, pos_weight)


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "none",
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Focal loss over independent yes/no decisions, on logits; the signature is torchvision's.

        ℓ(x, t) = α_t (1 − p_t)^γ BCE(x, t), with 1 − p_t = t σ(−x) + (1 − t) σ(x) and α_t = α t + (1 − α)(1 − t)

    Shapes: inputs and targets of one shape; targets in [0, 1]. `alpha` below 0 means no weighting; γ = 0 is the
    weighted binary cross entropy.
    Edges: Finite gradients at every finite logit and every γ ≥ 0. The default reduction is `none`.
    Raises: ValueError for another shape, an unknown reduction, gamma below 0 or alpha above 1.
    Source: Lin et al. 2017.

    >>> import torch
    >>> sigmoid_focal_loss(torch.tensor([0.0]), torch.tensor([1.0]), implementation="vectorized")
    tensor([0.0433])
    """
    return call("sigmoid_focal_loss", implementation, inputs, targets, alpha, gamma, reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Focal loss over exclusive classes.

        ℓ(x, y) = −α_y (1 − p_y)^γ log p_y, with p = softmax(x)

    Shapes: input (C), (N, C) or (N, C, d₁, …); target holds class indices without the class dimension. `alpha` is
    None, one number, or a tensor with one factor per class.
    Edges: `mean` divides by the number of rows not ignored, whatever alpha; NaN when there are none. γ = 0 without
    alpha is cross entropy.
    Raises: As cross_entropy; ValueError for gamma below 0.
    Source: Lin et al. 2017.

    >>> import torch
    >>> softmax_focal_loss(torch.zeros(1, 2), torch.tensor([0]), implementation="vectorized")
    tensor(0.1733)
    """
    return call("softmax_focal_loss", implementation, input, target, alpha, gamma, ignore_index, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Mean absolute error.

        ℓ(x, y) = w |x − y|

    Shapes: input and target broadcast; `weight` has input's shape.
    Edges: `mean` divides by the number of elements, or by the sum of the weights. The subgradient at x = y is 0.
    Raises: ValueError for an unknown reduction or a weight of another shape; RuntimeError for shapes that do not
    broadcast.
    Source: Boscovich 1757.

    >>> import torch
    >>> l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]), implementation="torch")
    tensor(1.5000)
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    warn_of_broadcast(input, target)
    return call("l1_loss", implementation, input, target, reduction, weight)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Mean squared error.

        ℓ(x, y) = w (x − y)²

    Shapes: input and target broadcast; `weight` has input's shape.
    Edges: `mean` divides by the number of elements, or by the sum of the weights. The mean of an empty batch is NaN.
    Raises: ValueError for an unknown reduction or a weight of another shape; RuntimeError for shapes that do not
    broadcast; NotImplementedError for integers.
    Source: Legendre 1805.

    >>> import torch
    >>> mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]), implementation="torch")
    tensor(2.5000)
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    warn_of_broadcast(input, target)
    return call("mse_loss", implementation, input, target, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    beta: float = 1.0,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Smooth L1: quadratic near zero, absolute beyond `beta`.

        ℓ(x, y) = d² / (2β) where |d| < β, else |d| − β/2, with d = x − y

    Shapes: input and target broadcast.
    Edges: β = 0 is the L1 loss. At |d| = β the gradient is ±1. The mean of an empty batch is NaN.
    Raises: RuntimeError for beta below 0 and for shapes that do not broadcast; ValueError for an unknown reduction.
    Source: Girshick 2015.

    >>> import torch
    >>> smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none", implementation="torch")
    tensor([0.1250, 2.5000])
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    warn_of_broadcast(input, target)
    return call("smooth_l1_loss", implementation, input, target, reduction, beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: Reduction = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Huber loss: quadratic near zero, linear with slope `delta` beyond.

        ℓ(x, y) = w d² / 2 where |d| < δ, else w δ (|d| − δ/2), with d = x − y

    Shapes: input and target broadcast; `weight` has input's shape. The result has input's type.
    Edges: `mean` divides by the number of elements, with weights too. At |d| = δ the gradient is ±δ.
    Raises: RuntimeError for delta not above 0 and for shapes that do not broadcast; ValueError for an unknown
    reduction or a weight of another shape.
    Source: Huber 1964.

    >>> import torch
    >>> huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none", implementation="torch")
    tensor([0.1250, 2.5000])
    """
    warn_of_broadcast(input, target)
    return call("huber_loss", implementation, input, target, reduction, delta, weight)


def log_cosh_loss(
    input: Tensor,
    target: Tensor,
    reduction: Reduction = "mean",
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Log-cosh loss: like half the square near zero, like the absolute value far out.

        ℓ(x, y) = log cosh(x − y)

    Shapes: input and target broadcast.
    Edges: Accurate to rounding for tiny and for huge differences; the gradient is tanh(x − y).
    Raises: ValueError for an unknown reduction; RuntimeError for shapes that do not broadcast; NotImplementedError
    for integers.
    Source: Green 1990.

    >>> import torch
    >>> log_cosh_loss(torch.tensor([1.0, 50.0]), torch.zeros(2), reduction="none", implementation="vectorized")
    tensor([ 0.4338, 49.3069])
    """
    warn_of_broadcast(input, target)
    return call("log_cosh_loss", implementation, input, target, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    *,
    implementation: Name = "auto",
) -> Tensor:
    """Triplet margin loss: an anchor nearer to its positive than to its negative by a margin.

        ℓ(a, p, n) = max(m + ‖a − p + ε‖ − ‖a − n + ε‖, 0); with `swap`, ‖a − n + ε‖ is min(‖a − n + ε‖, ‖p − n + ε‖)

    Shapes: (…, D) each, broadcasting, of the same number of dimensions; the loss has shape (…).
    Edges: At the hinge's corner the gradient is that of the open side; at distance zero it is 0. `p` is the norm's
    order.
    Raises: ValueError for margin not above 0 or an unknown reduction; RuntimeError for shapes that do not broadcast.
    Source: Balntas et al. 2016.

    >>> import torch
    >>> triplet_margin_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), implementation="torch")
    tensor(0.)
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated(size_average, reduce)
    return call("triplet_margin_loss", implementation, anchor, positive, negative, margin, p, eps, swap, reduction)
