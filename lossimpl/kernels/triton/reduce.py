# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Kernels that sum in a fixed order (without atomics: equal runs give equal bits), and one that scales a gradient."""

import triton
import triton.language as tl


@triton.jit
def finish_kernel(
    partial_ptr,  # [n] partial sums
    divisor_ptr,  # [1] or None
    out_ptr,  # [1]
    n,
    factor: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    BLOCK: tl.constexpr,
):
    """out = sum(partial) * factor / divisor, summed in float64: a few thousand additions without loss of digits."""
    lanes = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], dtype=tl.float64)
    for start in range(0, n, BLOCK):
        total += tl.load(partial_ptr + start + lanes, mask=start + lanes < n, other=0.0).to(tl.float64)
    value = tl.sum(total, axis=0) * factor
    if divisor_ptr is not None:
        value = value / tl.load(divisor_ptr).to(tl.float64)
    if out_ptr.dtype.element_ty != tl.float64:
        value = value.to(tl.float32)
    tl.store(out_ptr, value.to(out_ptr.dtype.element_ty))


@triton.jit
def partial_sum_kernel(
    values_ptr,  # [n]
    partial_ptr,  # [programs]
    n,
    BLOCK: tl.constexpr,
):
    """Each program sums one block of values."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(values_ptr + offsets, mask=offsets < n, other=0.0)
    tl.store(partial_ptr + tl.program_id(0), tl.sum(values, axis=0))


@triton.jit
def valid_weights(target_ptr, weight_ptr, offsets, n, ignore_index, classes, dtype: tl.constexpr):
    """The weights of the targets at these offsets (1 without weights), 0 for ignored targets."""
    target = tl.load(target_ptr + offsets, mask=offsets < n, other=0)
    valid = (target != ignore_index) & (offsets < n)
    if weight_ptr is None:
        return valid.to(dtype)
    else:
        inside = valid & (target >= 0) & (target < classes)
        return tl.load(weight_ptr + target, mask=inside, other=0.0).to(dtype)


@triton.jit
def valid_weight_kernel(
    target_ptr,  # [n] class indices
    weight_ptr,  # [classes] or None
    partial_ptr,  # [programs]
    n,
    ignore_index,
    classes,
    blocks,  # blocks of targets per program
    BLOCK: tl.constexpr,
):
    """The sum of the weights of the targets that are not ignored: the divisor of the mean."""
    total = tl.zeros([BLOCK], dtype=partial_ptr.dtype.element_ty)
    first = tl.program_id(0).to(tl.int64) * blocks
    for block in range(blocks):
        offsets = (first + block) * BLOCK + tl.arange(0, BLOCK)
        total += valid_weights(target_ptr, weight_ptr, offsets, n, ignore_index, classes, total.dtype)
    tl.store(partial_ptr + tl.program_id(0), tl.sum(total, axis=0))


@triton.jit
def scale_tile(grad_ptr, offsets, mask, upstream, COMPUTE: tl.constexpr):
    """Multiply one tile in place."""
    grad = tl.load(grad_ptr + offsets, mask=mask).to(COMPUTE) * upstream
    tl.store(grad_ptr + offsets, grad.to(grad_ptr.dtype.element_ty), mask=mask)


@triton.jit
def scale_kernel(
    grad_ptr,  # [n] a saved gradient, scaled in place
    upstream_ptr,  # [1]
    n,
    COMPUTE: tl.constexpr,
    BLOCK: tl.constexpr,
    VECTOR: tl.constexpr,
):
    """grad *= upstream, decided on the device: if upstream is one, no program accesses the gradient.

    The blocks cover n rounded down to whole vectors, so that accesses stay wide; program 0 also computes the remainder.
    """
    upstream = tl.load(upstream_ptr).to(COMPUTE)
    if upstream != 1.0:
        whole = n // VECTOR * VECTOR
        for block in range(tl.program_id(0), tl.cdiv(whole, BLOCK), tl.num_programs(0)):
            offsets = tl.full([], block, tl.int64) * BLOCK + tl.arange(0, BLOCK)
            scale_tile(grad_ptr, offsets, offsets < whole, upstream, COMPUTE)
        if tl.program_id(0) == 0:
            offsets = tl.full([], whole, tl.int64) + tl.arange(0, VECTOR)
            scale_tile(grad_ptr, offsets, offsets < n, upstream, COMPUTE)
