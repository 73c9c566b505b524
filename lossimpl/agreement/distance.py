"""The distance of a result from the oracle's.

An infinity equals an infinity of the same sign and a NaN equals a NaN; any other pair with a non-finite side is
infinitely far apart. A finite oracle that the candidate's dtype cannot hold is expected as that dtype's infinity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1 << 20  # elements per step: float64 temporaries stay in the cache, and memory stays bounded


@dataclass(frozen=True)
class Distance:
    """Relative errors and ULPs of one tensor, with its worst element."""

    max_rel: float
    mean_rel: float
    ulp: float
    worst: str


def distance(got: Tensor, want: Tensor, floor: float = 0.0) -> Distance:
    """Distance of `got` (any dtype) from `want` (float64, same shape).

    The relative error of an element is |got - want| / max(|want|, floor, t), where t is the smallest normal number of
    `got`'s dtype: below it every correctly rounded result has a large relative error. The mean relative error is
    sum |got - want| / sum max(|want|, t), so that many tiny elements cannot hide or invent an error.
    """
    flat_got, flat_want = got.detach().reshape(-1), want.detach().reshape(-1)
    worst_rel, worst_index, worst_ulp, error_sum, size_sum = 0.0, 0, 0.0, 0.0, 0.0
    for start in range(0, flat_got.numel(), CHUNK):
        part, target = flat_got[start : start + CHUNK], flat_want[start : start + CHUNK].double()
        error = _error(part, target)
        size = torch.nan_to_num(target.abs(), nan=0.0, posinf=0.0).clamp_min(torch.finfo(got.dtype).tiny)
        relative = error / size.clamp_min(floor)
        largest, at = relative.max(dim=0)
        if float(largest) > worst_rel:
            worst_rel, worst_index = float(largest), start + int(at)
        worst_ulp = max(worst_ulp, float((error / spacing(size, got.dtype)).max()))
        error_sum, size_sum = error_sum + float(error.sum()), size_sum + float(size.sum())
    mean_rel = error_sum / size_sum if size_sum else 0.0
    return Distance(worst_rel, mean_rel, worst_ulp, _describe(flat_got, flat_want, worst_index, got.shape))


def spacing(size: Tensor, dtype: torch.dtype) -> Tensor:
    """One unit in the last place of `dtype` at the positive float64 numbers `size`, subnormals included."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(size.clamp(min=info.tiny, max=info.max)).exponent - 1
    return info.eps * torch.exp2(exponent.double())


def _error(got: Tensor, want: Tensor) -> Tensor:
    exact = got.double()
    error = (exact - want).abs()
    same = (exact == want.to(got.dtype).double()) & ~torch.isfinite(exact) | exact.isnan() & want.isnan()
    return torch.where(same, 0.0, torch.nan_to_num(error, nan=math.inf, posinf=math.inf))


def _describe(got: Tensor, want: Tensor, index: int, shape: torch.Size) -> str:
    if not got.numel():
        return "no elements"
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(index), shape)) if shape else ()
    return f"element {list(place)}: got {float(got[index]):.9g}, oracle {float(want[index]):.17g}"
