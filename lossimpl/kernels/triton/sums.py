"""Sums and divisors left on the device, and the scaling of a saved gradient."""

import torch
from torch import Tensor

from . import tuning
from .launch import compute_type, launch, programs_for
from .reduce import finish_kernel, partial_sum_kernel, scale_kernel, valid_weight_kernel


def add_up(values: Tensor) -> Tensor:
    """The values, or if they are many, their sums per block."""
    count = values.numel()
    if count <= 8 * tuning.REDUCE_BLOCK:
        return values
    blocks = -(-count // tuning.REDUCE_BLOCK)
    partial = values.new_empty(blocks)
    launch(
        partial_sum_kernel,
        values.device,
        blocks,
        values,
        partial,
        count,
        BLOCK=tuning.REDUCE_BLOCK,
        num_warps=tuning.REDUCE_WARPS,
    )
    return add_up(partial)


def finish(values: Tensor, divisor: Tensor | None, factor: float, dtype: torch.dtype) -> Tensor:
    """sum(values) * factor / divisor as a 0-d tensor on the device."""
    out = values.new_empty((), dtype=dtype)
    values = add_up(values)
    count = values.numel()
    block = min(tuning.power_of_two(count), tuning.REDUCE_BLOCK)
    warps = tuning.REDUCE_WARPS if block > 1024 else 1
    launch(finish_kernel, values.device, 1, values, divisor, out, count, factor, BLOCK=block, num_warps=warps)
    return out


def valid_weight(target: Tensor, weight: Tensor | None, ignore_index: int, classes: int, dtype: torch.dtype) -> Tensor:
    """The divisor of the mean over class targets, a tensor of one element on the device."""
    count = target.numel()
    block = min(tuning.power_of_two(count), tuning.REDUCE_BLOCK)
    blocks = 4 if count > block else 1
    programs = max(-(-count // (block * blocks)), 1)
    partial = target.new_empty(programs, dtype=dtype)
    warps = tuning.REDUCE_WARPS if block > 1024 else 1
    launch(
        valid_weight_kernel, target.device, programs, target, weight, partial, count, ignore_index, classes, blocks,
        BLOCK=block, num_warps=warps,
    )  # fmt: skip
    return partial if programs == 1 else finish(partial, None, 1.0, dtype)


def scale_in_place(grad: Tensor, upstream: Tensor) -> None:
    """Multiply a gradient by a scalar in place, over the storage that it spans; free if the scalar is one."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(grad.shape, grad.stride(), strict=True))
    if grad.numel() == 0:
        return
    block = tuning.ELEMENTWISE_BLOCK
    programs = programs_for(grad, -(-span // block))
    launch(
        scale_kernel, grad.device, programs, grad, upstream, span,
        COMPUTE=compute_type(grad), BLOCK=block, VECTOR=16 // grad.element_size(),
        num_warps=tuning.ELEMENTWISE_WARPS,
    )  # fmt: skip
