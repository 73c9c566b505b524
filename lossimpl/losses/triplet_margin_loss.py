"""Triplet margin loss: an anchor nearer to its positive than to its negative by a margin.

    ℓ(a, p, n) = max(m + D(a, p) − D(a, n), 0),   D(u, v) = ‖u − v + ε‖_P
    with swap: D(a, n) is replaced by min(D(a, n), D(p, n))

Shapes: (D) or (…, D), broadcasting against each other with the same number of dimensions; the loss lacks the last. An
empty batch has mean NaN and sum 0. At the hinge's corner the gradient is that of the open side, as in torch; at
distance zero it is 0; in the infinity norm ties share it.

Source: V. Balntas et al., Learning local feature descriptors with triplets and shallow convolutional neural networks,
BMVC 2016 (swap included); the hinge: K. Q. Weinberger and L. K. Saul, JMLR 10, 2009.

naive       one triplet after the other
vectorized  tensor expressions over all triplets
torch       torch.nn.functional.triplet_margin_loss
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import (
    triplet_margin_loss as torch_triplet_margin_loss,
)

from lossimpl.losses._checks import (
    require_broadcast,
    require_no_bool,
    require_number,
    require_reduction,
    require_tensors,
)
from lossimpl.losses._common import (
    ITEM_BYTES,
    broadcast,
    compute_dtype,
    each,
    promote,
    real_dtype,
    reduce,
    result_elements,
)
from lossimpl.losses._makers import regression_makers
from lossimpl.spec import OVER_VECTORS, Case, Loss


def together(anchor: Tensor, positive: Tensor, negative: Tensor) -> tuple[list[Tensor], torch.dtype]:
    """The three broadcast at computing precision, and the type of the result; integers count as float32."""
    dtype = promote(anchor, positive, negative)
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
    tensors = broadcast(*(one.to(compute_dtype(dtype)) for one in (anchor, positive, negative)))
    return list(tensors), real_dtype(dtype)


def norm(difference: Tensor, p: float) -> Tensor:
    """The P-norm over the last dimension, of scaled elements: neither a power of them nor a gradient leaves the range.

    With the scale m^(1 − 1/2P), for the largest element m, the largest power is √m; and backward, which multiplies the
    incoming gradient by the scale before it divides by it, has the factor m^(1/2P) to spare.
    """
    if not 0 < p < math.inf or p == 1 or difference.shape[-1] == 0:
        return plain_norm(difference, p)
    if p < 1:
        return power_norm(difference, p)
    largest = difference.detach().abs().amax(-1)
    scale = torch.where((largest > 0) & torch.isfinite(largest), largest, 1.0) ** (1 - 0.5 / p)
    scaled = difference / scale.unsqueeze(-1)
    return scale * (plain_norm(scaled, p) if p == 2 else power_norm(scaled, p))


def plain_norm(difference: Tensor, p: float) -> Tensor:
    """The P-norm over the last dimension as torch has it, whose shape inference wants a dimension from 0 on."""
    result: Tensor = torch.linalg.vector_norm(difference, ord=p, dim=(difference.dim() - 1,))
    return result


def power_norm(difference: Tensor, p: float) -> Tensor:
    """The P-norm over the last dimension by its definition.

    Of torch's own, `torch.func.linearize` gives the first tangent right and every further one wrong (torch 2.13).
    """
    return power(power(difference.abs(), p).sum(-1), 1 / p)


def power(size: Tensor, exponent: float) -> Tensor:
    """A positive power of numbers from 0 on, with slope 0 at 0."""
    zero = size == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, size) ** exponent)


def hinge(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: float, eps: float, swap: bool
) -> Tensor:
    """The loss of triplets (…, D), as (…)."""

    far = norm(anchor - negative + eps, p)
    if swap:
        far = torch.minimum(far, norm(positive - negative + eps, p))
    gap = margin + norm(anchor - positive + eps, p) - far
    return torch.where(gap < 0, 0.0, gap)  # unlike a clamp, it passes the slope of a NaN on


def oracle(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """In float64: the distances by their definition, sums of powers of absolute values, scaled as in `norm`."""

    def distance(u: Tensor, v: Tensor) -> Tensor:
        size = (u - v + eps).abs()
        if math.isinf(p) or not p > 0 or size.shape[-1] == 0:
            return plain_norm(size, p)
        largest = size.detach().amax(-1, keepdim=True)
        exponent = 1 - 0.5 / p if p >= 1 else 0.0
        scale = torch.where((largest > 0) & torch.isfinite(largest), largest, 1.0) ** exponent
        share = size / scale
        total = torch.where(share == 0, 0.0, torch.where(share == 0, 1.0, share) ** p).sum(-1)
        return scale[..., 0] * torch.where(total == 0, 0.0, torch.where(total == 0, 1.0, total) ** (1 / p))

    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    gap = margin + near - far
    return reduce(torch.where(gap >= 0, gap, torch.where(gap.isnan(), gap, 0.0)), reduction, anchor.dtype)


def naive(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Triplet by triplet."""
    (a, b, c), dtype = together(anchor, positive, negative)
    if a.dim() < 2:
        return reduce(hinge(a, b, c, margin, p, eps, swap), reduction, dtype)
    loss = each(lambda a_i, b_i, c_i: hinge(a_i, b_i, c_i, margin, p, eps, swap), a, b, c)
    return reduce(loss, reduction, dtype)


def vectorized(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """All triplets at once."""
    (a, b, c), dtype = together(anchor, positive, negative)
    return reduce(hinge(a, b, c, margin, p, eps, swap), reduction, dtype)


def framework(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """torch.nn.functional.triplet_margin_loss."""
    return torch_triplet_margin_loss(
        anchor, positive, negative, margin=margin, p=p, eps=eps, swap=swap, reduction=reduction
    )


def check(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> None:
    """Raise torch's error type, with the argument, its value and what is allowed."""
    require_tensors(anchor=anchor, positive=positive, negative=negative)
    require_no_bool(anchor=anchor, positive=positive, negative=negative)
    require_reduction(reduction)
    require_number(margin=margin, p=p, eps=eps)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )
    require_broadcast(anchor=anchor, positive=positive)
    require_broadcast(anchor=anchor, negative=negative)
    require_broadcast(positive=positive, negative=negative)
    shapes = [list(one.shape) for one in (anchor, positive, negative)]
    if any(shape[-1:] == [0] for shape in shapes) and (p < 0 or math.isinf(p)):
        raise RuntimeError(
            f"p must be finite and at least 0 for vectors of no element, got p={p}: anchor, positive and negative have "
            f"shapes {', '.join(map(str, shapes))}"
        )


def traffic(case: Case) -> int:
    """Three tensors read, the result, and in a step three gradients written."""
    elements = math.prod(case.shape)
    moved = elements * (3 if case.mode == "forward" else 6)
    return (moved + result_elements(case, math.prod(case.shape[:-1]))) * ITEM_BYTES[case.dtype]


def largest_distance(arguments: Mapping[str, Any]) -> float:
    """The largest of the distances whose difference the loss is, and at least 1."""
    difference = arguments["anchor"].double() - arguments["negative"].double()
    distances = plain_norm(difference, arguments.get("p", 2.0))
    return max(1.0, float(distances.max())) if distances.numel() else 1.0


LOSS = Loss(
    name="triplet_margin_loss",
    formula="ℓ(a, p, n) = max(m + ‖a − p + ε‖ − ‖a − n + ε‖, 0);  with swap ‖a − n‖ is min(‖a − n‖, ‖p − n‖)",
    reference="Balntas et al., Learning local feature descriptors with triplets, BMVC 2016",
    tensors=("anchor", "positive", "negative"),
    differentiable=("anchor", "positive", "negative"),
    makers=regression_makers(3),
    oracle=oracle,
    check=check,
    traffic=traffic,
    shapes=OVER_VECTORS,
    value_unit=largest_distance,
)
