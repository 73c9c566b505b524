"""What several losses share: precision, broadcasting, reduction, walking sample by sample, and traffic.

Low precision is computed in float32 and rounded once at the end, as torch's own kernels accumulate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lossimpl.spec import Case, Unavailable

ITEM_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision to compute in: float32 for the half types, the type itself otherwise."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def promote(*tensors: Tensor) -> torch.dtype:
    """The type that torch's type promotion gives these tensors together."""
    dtype = tensors[0].dtype
    for one in tensors[1:]:
        dtype = torch.promote_types(dtype, one.dtype)
    return dtype


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type of an absolute value; a table, since torch.compile cannot trace dtype.to_real()."""
    return {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(dtype, dtype)


def broadcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors expanded to one shape."""
    expanded: tuple[Tensor, ...] = torch.broadcast_tensors(*tensors)  # type: ignore[no-untyped-call]  # torch's is untyped
    return expanded


def pair(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """Input and target at computing precision, broadcast against each other, and the type of the result.

    In this order autograd sums the slopes of one that broadcasts at computing precision.
    """
    dtype = promote(input, target)
    x, y = broadcast(input.to(compute_dtype(dtype)), target.to(compute_dtype(dtype)))
    return x, y, dtype


def reduce(loss: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """The loss itself, its mean or its sum, rounded to `dtype` once."""
    if loss.dim() == 0 and loss.is_floating_point():  # torch's tangents of tensors without dimensions are float64
        loss = loss.double().to(loss.dtype)
    if reduction == "none":
        return loss.to(dtype)
    return rounded(loss.mean() if reduction == "mean" else loss.sum(), dtype)


def rounded(total: Tensor, dtype: torch.dtype) -> Tensor:
    """A reduced loss in `dtype`; what integers add up to keeps its own type."""
    return total.to(dtype) if dtype.is_floating_point else total


def reduce_weighted(loss: Tensor, weight: Tensor | None, reduction: str, dtype: torch.dtype) -> Tensor:
    """As `reduce`, with elements weighted first; the mean then divides by the sum of the weights."""
    if weight is None:
        return reduce(loss, reduction, dtype)
    dtype = torch.promote_types(dtype, weight.dtype)
    weighted = loss * weight
    if reduction == "mean":
        return rounded(weighted.sum() / weight.to(compute_dtype(dtype)).sum(), dtype)
    return reduce(weighted, reduction, dtype)


def require_fixed(samples: int) -> None:
    """Raise Unavailable where a program is exported for any number of samples, which a walk sample by sample fixes."""
    if torch.compiler.is_exporting() and isinstance(samples, torch.SymInt):
        raise Unavailable(
            "naive walks sample by sample, so its program has a fixed number of them: "
            "export it without a dynamic batch, or take implementation='vectorized'"
        )


def each(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply `function` sample by sample along the first dimension and join what it returns.

    A sample keeps its dimension: torch's tangents of tensors without dimensions are float64.
    """
    first = tensors[0]
    require_fixed(first.shape[0] if first.dim() else 0)
    if first.dim() == 0 or first.shape[0] == 0:
        return function(*tensors)
    samples = zip(*(torch.split(one, 1) for one in tensors), strict=True)
    return torch.cat([function(*sample) for sample in samples])


def elementwise_traffic(tensors: int) -> Callable[[Case], int]:
    """Traffic of a loss that reads `tensors` tensors of the case's shape; a step writes one gradient more."""

    def traffic(case: Case) -> int:
        """Bytes of the tensors read, of the gradient written in a step, and of the result."""
        elements = math.prod(case.shape)
        moved = tensors + (case.mode != "forward")
        return (elements * moved + result_elements(case, elements)) * ITEM_BYTES[case.dtype]

    return traffic


def result_elements(case: Case, unreduced: int) -> int:
    """How many elements the loss itself has: one, or one each without reduction."""
    return unreduced if dict(case.options).get("reduction") == "none" else 1
