# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""The kernel of the eight elementwise losses: values, sums and gradients in one pass over the inputs."""

import triton
import triton.language as tl


@triton.jit
def position(offsets, sizes, strides, DIMENSIONS: tl.constexpr):
    """The memory offsets of the elements with these row-major indices; the indices themselves in a linear walk."""
    if DIMENSIONS == 0:
        return offsets
    else:
        place = tl.zeros_like(offsets)
        rest = offsets
        for k in tl.static_range(DIMENSIONS):
            place += (rest % sizes[DIMENSIONS - 1 - k]) * strides[DIMENSIONS - 1 - k]
            rest = rest // sizes[DIMENSIONS - 1 - k]
        return place


@triton.jit
def optional(ptr, offsets, mask, sizes, strides, DIMENSIONS: tl.constexpr, COMPUTE: tl.constexpr):
    """A tile of an optional operand in the compute type, or the number one."""
    if ptr is None:
        return 1.0
    else:
        return tl.load(ptr + position(offsets, sizes, strides, DIMENSIONS), mask=mask, other=1.0).to(COMPUTE)


@triton.jit
def tile(
    pointers, offsets, mask, factor, first, second, sizes, strides,
    POINT: tl.constexpr, DIMENSIONS: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """Compute one tile: store the requested outputs, return the weighted values, 0 outside the mask."""
    x_ptr, t_ptr, weight_ptr, pos_weight_ptr, upstream_ptr, loss_ptr, grad_x_ptr, grad_t_ptr = pointers
    x = tl.load(x_ptr + position(offsets, sizes, strides[0], DIMENSIONS), mask=mask, other=0.0).to(COMPUTE)
    t = tl.load(t_ptr + position(offsets, sizes, strides[1], DIMENSIONS), mask=mask, other=0.0).to(COMPUTE)
    weight = optional(weight_ptr, offsets, mask, sizes, strides[2], DIMENSIONS, COMPUTE)
    if pos_weight_ptr is None:
        value, slope_x, slope_t = POINT(x, t, None, first, second)
    else:
        pos_weight = optional(pos_weight_ptr, offsets, mask, sizes, strides[3], DIMENSIONS, COMPUTE)
        value, slope_x, slope_t = POINT(x, t, pos_weight, first, second)
    value = value * weight
    if loss_ptr is not None:
        tl.store(loss_ptr + position(offsets, sizes, strides[5], DIMENSIONS), value.to(loss_ptr.dtype.element_ty), mask)
    upstream = optional(upstream_ptr, offsets, mask, sizes, strides[4], DIMENSIONS, COMPUTE)
    scale = weight * factor * upstream
    if grad_x_ptr is not None:
        grad = (slope_x * scale).to(grad_x_ptr.dtype.element_ty)
        tl.store(grad_x_ptr + position(offsets, sizes, strides[6], DIMENSIONS), grad, mask)
    if grad_t_ptr is not None:
        grad = (slope_t * scale).to(grad_t_ptr.dtype.element_ty)
        tl.store(grad_t_ptr + position(offsets, sizes, strides[7], DIMENSIONS), grad, mask)
    return tl.where(mask, value, 0.0)


@triton.jit
def elementwise_kernel(
    pointers,  # input, target, weight, pos_weight, upstream, loss, grad_input, grad_target: [n] each, or None
    divisor_ptr,  # [1] or None: gradients are divided by it
    scalar_upstream_ptr,  # [1] or None: gradients are multiplied by it
    partial_ptr,  # [programs] or None: sums of the values
    n,
    factor: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    first: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    second: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    sizes,  # the common shape, unless the walk is linear
    strides,  # of each of `pointers`
    POINT: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    COMPUTE: tl.constexpr,
    BLOCK: tl.constexpr,
    VECTOR: tl.constexpr,
):
    """Each program strides over blocks of elements.

    The blocks cover n rounded down to a multiple of VECTOR, which the compiler recognises in the mask, so that every
    load and store is 16 bytes wide for any n. Program 0 also computes the fewer than VECTOR elements that remain.
    """
    first = tl.full([], first, COMPUTE)
    second = tl.full([], second, COMPUTE)
    scale = tl.full([], factor, COMPUTE)
    if divisor_ptr is not None:
        scale = scale / tl.load(divisor_ptr).to(COMPUTE)
    if scalar_upstream_ptr is not None:
        scale = scale * tl.load(scalar_upstream_ptr).to(COMPUTE)
    total = tl.zeros([BLOCK], dtype=COMPUTE)
    whole = n // VECTOR * VECTOR
    program = tl.program_id(0)
    for block in range(program, tl.cdiv(whole, BLOCK), tl.num_programs(0)):
        offsets = tl.full([], block, tl.int64) * BLOCK + tl.arange(0, BLOCK)
        total += tile(
            pointers, offsets, offsets < whole, scale, first, second, sizes, strides, POINT, DIMENSIONS, COMPUTE
        )
    result = tl.sum(total, axis=0)
    if program == 0:
        offsets = tl.full([], whole, tl.int64) + tl.arange(0, VECTOR)
        result += tl.sum(
            tile(pointers, offsets, offsets < n, scale, first, second, sizes, strides, POINT, DIMENSIONS, COMPUTE),
            axis=0,
        )
    if partial_ptr is not None:
        tl.store(partial_ptr + program, result)
