"""How rows of logits lie in memory, and what the kernels over rows have in common on the host."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

from . import tuning

MOST_COLUMNS = 2**31 - 2**16  # columns are numbers of 32 bits, and a row's last tile may lie partly beyond it


def require_width(width: int, what: str) -> None:
    """Rows that the kernels can walk."""
    if not 0 < width <= MOST_COLUMNS:
        raise Unavailable(f"native takes 1 to {MOST_COLUMNS} {what}, got {width}")


def class_dim(x: Tensor) -> int:
    """The dimension of the classes: the second, or the only one of an unbatched input."""
    return 1 if x.dim() > 1 else 0


def class_rows(x: Tensor) -> Tensor:
    """(C), (N, C) or (N, C, d1, ...) as rows (n, C) that the kernels can walk."""
    require_width(x.shape[class_dim(x)], "classes")
    if x.dim() == 2:
        return x
    if x.dim() == 1:
        return x.unsqueeze(0)
    return x.movedim(1, -1).flatten(0, -2)


def is_padded(x: Tensor) -> bool:
    """Whether rows lie side by side but for some padding, as a vocabulary cut off a wider one."""
    width, stride = x.shape[1], x.stride(0)
    return x.stride(1) == 1 and width <= stride <= 2 * width


def unit_rows(x: Tensor) -> Tensor:
    """Rows as the kernels walk them: x itself where it is dense or padded, else a copy."""
    return x if is_padded(x) else x.contiguous()


def row_gradient(x: Tensor) -> Tensor:
    """Memory for a gradient with the strides that `unit_rows(x)` has, so that one offset serves both."""
    return x.new_empty_strided(x.shape, x.stride()) if is_padded(x) else x.new_empty(x.shape)


def row_losses(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Memory for one loss a row."""
    return x.new_empty(x.shape[0], dtype=dtype)


def first_read(grads: Sequence[Tensor | None]) -> str:
    """What the L2 cache shall do with logits read for the sums: keep them where a gradient reads them again.

    Only then, and the second reading lets go of all of them: what is kept for nobody displaces what others read, and
    outlives a flush between two measurements.
    """
    return "evict_first" if all(grad is None for grad in grads) else "evict_last"


def upstream_stride(upstream: Tensor | None) -> int:
    """The step from row to row of an upstream gradient; 0 for a scalar."""
    return upstream.stride(0) if upstream is not None and upstream.dim() else 0


def tile_options(x: Tensor, itemsize: int) -> dict[str, Any]:
    """The tile of a kernel over the rows of x, and whether rows have edges outside 16-byte vectors."""
    tile = tuning.row_tile(x.shape[1], itemsize)
    edges = x.stride(0) % tile.vector != 0 or x.shape[1] % tile.vector != 0
    return {"EDGES": edges, "LANES": tile.lanes, "VECTOR": tile.vector, "num_warps": tile.warps}
