"""The memory layout of rows of logits, and the host code shared by the kernels over rows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

from . import tuning

MAX_COLUMNS = 2**31 - 2**16  # columns are 32-bit integers, and the last tile of a row may extend beyond it


def require_width(width: int, what: str) -> None:
    """Refuse rows that are empty, or whose columns 32-bit integers cannot index."""
    if not 0 < width <= MAX_COLUMNS:
        raise Unavailable(f"native takes 1 to {MAX_COLUMNS} {what}, got {width}")


def class_dim(x: Tensor) -> int:
    """The dimension of the classes: the second, or the only one of an unbatched input."""
    return 1 if x.dim() > 1 else 0


def class_rows(x: Tensor) -> Tensor:
    """(C), (N, C) or (N, C, d1, ...) as rows (n, C)."""
    require_width(x.shape[class_dim(x)], "classes")
    if x.dim() == 2:
        return x
    if x.dim() == 1:
        return x.unsqueeze(0)
    return x.movedim(1, -1).flatten(0, -2)


def is_padded(x: Tensor) -> bool:
    """Whether the rows are dense but for padding between them, as in a slice of a wider vocabulary."""
    width, stride = x.shape[1], x.stride(0)
    return x.stride(1) == 1 and width <= stride <= 2 * width


def unit_rows(x: Tensor) -> Tensor:
    """Rows as the kernels need them: x itself if it is dense or padded, else a copy."""
    return x if is_padded(x) else x.contiguous()


def row_gradient(x: Tensor) -> Tensor:
    """Memory for a gradient with the strides that `unit_rows(x)` has, so that one offset serves both."""
    return x.new_empty_strided(x.shape, x.stride()) if is_padded(x) else x.new_empty(x.shape)


def row_losses(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Memory for one loss per row."""
    return x.new_empty(x.shape[0], dtype=dtype)


def first_read(grads: Sequence[Tensor | None]) -> str:
    """The eviction policy for the first read of the logits: keep them in L2 if the gradient reads them again.

    Only then, and the second read releases all of them: lines that are kept without being read again displace others,
    and survive a flush between two measurements.
    """
    return "evict_first" if all(grad is None for grad in grads) else "evict_last"


def upstream_stride(upstream: Tensor | None) -> int:
    """The row stride of an upstream gradient; 0 for a scalar."""
    return upstream.stride(0) if upstream is not None and upstream.dim() else 0


def tile_options(x: Tensor, itemsize: int) -> dict[str, Any]:
    """Options for the tile of a kernel over the rows of x, and whether rows have edges outside 16-byte vectors."""
    tile = tuning.row_tile(x.shape[1], itemsize)
    edges = x.stride(0) % tile.vector != 0 or x.shape[1] % tile.vector != 0
    return {"EDGES": edges, "LANES": tile.lanes, "VECTOR": tile.vector, "num_warps": tile.warps}
