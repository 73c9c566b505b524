# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Common parts of the kernels over rows of class logits: how a row is walked, and what one tile of it contributes.

A row of logits may start anywhere in memory, so it is walked as an edge of fewer than VECTOR elements up to the first
16-byte boundary, whole vectors, and another edge of fewer than VECTOR elements. Both edges form one tile of 2 x VECTOR.
A tile of the middle is LANES x VECTOR; each lane (a vector, held by one thread) has its own running maximum m and sum
of exp(x - m), so that the loop over a long row needs no communication between threads; the lanes are merged at the end.
"""

import triton
import triton.language as tl

from .numerics import exp, exp_flushed, finite_reference, multiply


@triton.jit
def fold(x, c, state, SMOOTH: tl.constexpr):
    """Add a tile x [L, V] to each lane's maximum m and s = sum exp(x - m).

    With SMOOTH, also to k = sum c and d = sum c (x - m). Elements outside the row are -inf with c = 0.
    """
    m, s, k, d = state
    new = tl.maximum(m, tl.max(x, axis=1))
    reference = finite_reference(new)
    s = s * exp_flushed(m - reference) + tl.sum(exp_flushed(x - reference[:, None]), axis=1)
    if SMOOTH:
        d = d + k * (finite_reference(m) - reference) + tl.sum(multiply(c, x - reference[:, None]), axis=1)
        k = k + tl.sum(c, axis=1)
    return new, s, k, d


@triton.jit
def merge(state, top, SMOOTH: tl.constexpr):
    """The sums s, k, d over all lanes, relative to the maximum `top`."""
    m, s, k, d = state
    reference = finite_reference(top)
    s = tl.sum(s * tl.exp(m - reference), axis=0)
    if SMOOTH:
        d = tl.sum(d + k * (finite_reference(m) - reference), axis=0)
        k = tl.sum(k, axis=0)
        return s, k, d
    else:
        return s, s, s


@triton.jit
def class_weights(weight_ptr, columns, mask, SMOOTH: tl.constexpr, COMPUTE: tl.constexpr):
    """The weights of these classes in label smoothing: 1 without weights, 0 outside the mask; unused without SMOOTH."""
    if not SMOOTH:
        return 0.0
    elif weight_ptr is None:
        return tl.where(mask, 1.0, 0.0).to(COMPUTE)
    else:
        return tl.load(weight_ptr + columns, mask=mask, other=0.0).to(COMPUTE)


@triton.jit
def fold_others(x, base, mask, near, weight_ptr, target, state, SMOOTH: tl.constexpr, COMPUTE: tl.constexpr):
    """`fold` without the target's column. `base` [L, 1]: the column at which each lane starts.

    `near` is whether the tile may contain the target. It is decided once per tile: a comparison per element would be a
    third of all instructions, which take nearly as long as the memory traffic in bf16.
    """
    place = tl.arange(0, x.shape[1])[None, :]
    c = class_weights(weight_ptr, base + place, mask & (place != target - base), SMOOTH, COMPUTE)
    x = x.to(COMPUTE)
    if near:
        x = tl.where(place == target - base, float("-inf"), x)
    return fold(x, c, state, SMOOTH)


@triton.jit
def empty_state(LANES: tl.constexpr, COMPUTE: tl.constexpr):
    """The initial state of `fold`."""
    zero = tl.zeros([LANES], dtype=COMPUTE)
    return tl.full([LANES], float("-inf"), COMPUTE), zero, zero, zero


@triton.jit
def edges(start, width, VECTOR: tl.constexpr):
    """First columns [2, 1] and mask [2, VECTOR] of the edges; first column and number of vectors of the middle."""
    head = tl.minimum((start + VECTOR - 1) // VECTOR * VECTOR - start, width).to(tl.int32)
    vectors = (width - head) // VECTOR
    tail = width - head - vectors * VECTOR
    part = tl.arange(0, 2)[:, None]
    lane = tl.arange(0, VECTOR)[None, :]
    return tl.where(part == 0, 0, width - tail), lane < tl.where(part == 0, head, tail), head, vectors


@triton.jit
def store_gradient(
    grad_ptr, offsets, x, base, mask, near, target, weight_ptr, top, slope, at_target, spread,
    SMOOTH: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """One tile of the gradient: slope * exp(x - top) minus the share of smoothing, and at_target for the target."""
    place = tl.arange(0, x.shape[1])[None, :]
    grad = slope * exp(x.to(COMPUTE) - finite_reference(top))
    if SMOOTH:
        grad = grad - spread * class_weights(weight_ptr, base + place, mask, SMOOTH, COMPUTE)
    if near:
        grad = tl.where(place == target - base, at_target, grad)
    tl.store(grad_ptr + offsets, grad.to(grad_ptr.dtype.element_ty), mask=mask, cache_modifier=".cs")


@triton.jit
def row_scale(row, upstream_ptr, upstream_stride, COMPUTE: tl.constexpr):
    """The upstream gradient of this row, or one."""
    if upstream_ptr is None:
        return tl.full([], 1.0, COMPUTE)
    else:
        return tl.load(upstream_ptr + row * upstream_stride).to(COMPUTE)
