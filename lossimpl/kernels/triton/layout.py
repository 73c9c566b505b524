"""How a kernel walks tensors of one shape: linearly if all are dense with equal strides, otherwise by strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Walk:
    """The element count and, unless the walk is linear, the merged sizes and each tensor's strides."""

    count: int
    sizes: tuple[int, ...] | None
    strides: tuple[tuple[int, ...] | None, ...]

    @property
    def dimensions(self) -> int:
        """The number of merged dimensions, 0 for a linear walk."""
        return 0 if self.sizes is None else len(self.sizes)


def walk(tensors: Sequence[Tensor | None]) -> Walk:
    """Plan the walk over tensors of one shape; None entries are ignored."""
    present = [tensor for tensor in tensors if tensor is not None]
    lead = present[0]
    strides = lead.stride()
    if is_dense(lead) and all(tensor.stride() == strides for tensor in present[1:]):
        return Walk(lead.numel(), None, (None,) * len(tensors))
    sizes, merged = merge_dimensions(lead.shape, [tensor.stride() for tensor in present])
    found = iter(merged)
    return Walk(lead.numel(), sizes, tuple(None if tensor is None else next(found) for tensor in tensors))


def is_dense(tensor: Tensor) -> bool:
    """Whether the elements are contiguous in memory, in any order of the dimensions."""
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def merge_dimensions(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Drop dimensions of size 1, and merge adjacent dimensions that every tensor can traverse as one."""
    sizes: list[int] = []
    columns: list[list[int]] = []
    for k, size in enumerate(shape):
        if size == 1:
            continue
        column = [stride[k] for stride in strides]
        if sizes and all(outer == inner * size for outer, inner in zip(columns[-1], column, strict=True)):
            sizes[-1] *= size
            columns[-1] = column
        else:
            sizes.append(size)
            columns.append(column)
    if not sizes:
        return (1,), [(0,) for _ in strides]
    return tuple(sizes), [tuple(column[k] for column in columns) for k in range(len(strides))]
