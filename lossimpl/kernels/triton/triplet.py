# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Triplet margin loss: distances, hinge and all three gradients of several rows per program.

A distance is ||u - v + eps||_P. With d = u - v + eps its gradient in u is sign(d) (P = 1), d / D (P = 2), sign(d)
shared among the largest |d| (P = inf) or the smallest (P = -inf), 0 (P = 0, which counts what differs), and
sign(d) (|d| / D)^(P-1) otherwise; 0 where D = 0. At the corner of the hinge the gradient is that of the side above 0,
and if swap finds both distances equal they share it, as in torch.
"""

import triton
import triton.language as tl

from .numerics import power, sign


@triton.jit
def finite_unit(top):
    """The unit of a row whose largest |d| is `top`: that, or 1 if it is 0 or infinite."""
    return tl.where((top > 0) & (top < float("inf")), top, 1.0)


@triton.jit
def extend(distance, ties, d, mask, p, NORM: tl.constexpr):
    """Add a tile d [R, W] to the running state of each row.

    The state is: for P = 1 the sum; for P = +-inf the extreme element and the number of times it occurs; for P = 0 the
    number of non-zero elements; otherwise the sum of powers in units of the largest |d| so far, and that largest |d|,
    so that no power overflows.
    """
    a = tl.where(mask, tl.abs(d), 0.0)
    if NORM == 1:
        return distance + tl.sum(a, axis=1), ties
    elif NORM == 5:
        return distance + tl.sum(tl.where(a != 0, 1.0, 0.0), axis=1), ties
    elif NORM == 0 or NORM == 4:
        # A maximum drops NaN, which must survive.
        bad = (distance != distance) | (tl.sum(tl.where(a == a, 0.0, 1.0), axis=1) > 0)
        if NORM == 0:
            top = tl.max(tl.where(mask, a, -1.0), axis=1)
            better, best = top > distance, tl.maximum(distance, top)
        else:
            top = tl.min(tl.where(mask, a, float("inf")), axis=1)
            better, best = top < distance, tl.minimum(distance, top)
        count = tl.sum(tl.where(mask & (a == top[:, None]), 1.0, 0.0), axis=1)
        ties = tl.where(better, count, tl.where(top == distance, ties + count, ties))
        return tl.where(bad, float("nan"), best), ties
    else:
        top = tl.maximum(ties, tl.max(a, axis=1))
        scale = finite_unit(top)
        ratio, before = a / scale[:, None], ties / scale
        if NORM == 2:
            return distance * before * before + tl.sum(ratio * ratio, axis=1), top
        else:
            at_zero = tl.where(p < 0, float("inf"), 0.0).to(a.dtype) + 0.0 * a
            powers = tl.where(mask, tl.where(a > 0, power(ratio, p), at_zero), 0.0)
            return tl.where(ties > 0, distance * power(before, p), 0.0) + tl.sum(powers, axis=1), top


@triton.jit
def close(distance, ties, p, NORM: tl.constexpr):
    """The norm from the state."""
    if NORM == 2:
        return finite_unit(ties) * tl.sqrt(distance)
    elif NORM == 3:
        return tl.where(distance > 0, finite_unit(ties) * power(distance, 1.0 / p), distance)
    else:
        return distance


@triton.jit
def unit(d, distance, ties, p, NORM: tl.constexpr):
    """The gradient of the distance in u, for a tile d [R, W]."""
    distance, ties = distance[:, None], ties[:, None]
    if NORM == 1:
        return sign(d)
    elif NORM == 2:
        return tl.where(distance == 0, 0.0, d / distance)
    elif NORM == 5:
        return 0.0 * sign(d)
    elif NORM == 0 or NORM == 4:
        return tl.where(tl.abs(d) == distance, sign(d) / ties, 0.0)
    else:
        ratio = tl.where(distance == 0, 0.0, tl.abs(d) / distance)
        return tl.where(ratio == 0, 0.0, sign(d) * tl.exp2((p - 1.0) * tl.log2(ratio)))


@triton.jit
def load_three(
    a_ptr, p_ptr, n_ptr, rows, columns, mask, a_stride, p_stride, n_stride, eps, COMPUTE: tl.constexpr
):  # fmt: skip
    """The differences a - p, a - n, p - n, each plus eps, of a tile."""
    a = tl.load(a_ptr + rows * a_stride + columns, mask=mask, other=0.0).to(COMPUTE)
    p = tl.load(p_ptr + rows * p_stride + columns, mask=mask, other=0.0).to(COMPUTE)
    n = tl.load(n_ptr + rows * n_stride + columns, mask=mask, other=0.0).to(COMPUTE)
    return a - p + eps, a - n + eps, p - n + eps


@triton.jit
def distances(near, far, swapped, state, mask, p, NORM: tl.constexpr, SWAP: tl.constexpr):
    """Add the differences of a tile to the three distances and their ties."""
    near_d, near_t, far_d, far_t, swapped_d, swapped_t = state
    near_d, near_t = extend(near_d, near_t, near, mask, p, NORM)
    far_d, far_t = extend(far_d, far_t, far, mask, p, NORM)
    if SWAP:
        swapped_d, swapped_t = extend(swapped_d, swapped_t, swapped, mask, p, NORM)
    return near_d, near_t, far_d, far_t, swapped_d, swapped_t


@triton.jit
def store_three(
    grad_a_ptr, grad_p_ptr, grad_n_ptr, offsets, mask, near, far, swapped, state, share, slope, p,
    NORM: tl.constexpr, SWAP: tl.constexpr,
):  # fmt: skip
    """Store one tile of the gradients; `share` is the share of d(anchor, negative) in the smaller far distance."""
    near_d, near_t, far_d, far_t, swapped_d, swapped_t = state
    near_u = unit(near, near_d, near_t, p, NORM)
    far_u = unit(far, far_d, far_t, p, NORM) * share[:, None]
    swapped_u = far_u * 0.0
    if SWAP:
        swapped_u = unit(swapped, swapped_d, swapped_t, p, NORM) * (1.0 - share[:, None])
    open_side = slope[:, None] != 0
    slope = slope[:, None]
    if grad_a_ptr is not None:
        grad = tl.where(open_side, slope * (near_u - far_u), 0.0)
        tl.store(grad_a_ptr + offsets, grad.to(grad_a_ptr.dtype.element_ty), mask=mask)
    if grad_p_ptr is not None:
        grad = tl.where(open_side, -slope * (near_u + swapped_u), 0.0)
        tl.store(grad_p_ptr + offsets, grad.to(grad_p_ptr.dtype.element_ty), mask=mask)
    if grad_n_ptr is not None:
        grad = tl.where(open_side, slope * (far_u + swapped_u), 0.0)
        tl.store(grad_n_ptr + offsets, grad.to(grad_n_ptr.dtype.element_ty), mask=mask)


@triton.jit
def triplet_kernel(
    a_ptr,  # [rows, width] anchors, unit stride along a row
    p_ptr,  # [rows, width] positives
    n_ptr,  # [rows, width] negatives
    upstream_ptr,  # [rows] or [1], or None
    loss_ptr,  # [rows] or None
    grad_a_ptr,  # [rows, width] dense, or None
    grad_p_ptr,  # likewise
    grad_n_ptr,  # likewise
    count,  # rows
    width,
    a_stride,
    p_stride,
    n_stride,
    upstream_stride,
    margin: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    p: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    eps: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    factor: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    NORM: tl.constexpr,
    SWAP: tl.constexpr,
    COMPUTE: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """ROWS rows per program, WIDTH columns at a time. WHOLE: a tile holds entire rows, which are then read once."""
    margin, p = tl.full([], margin, COMPUTE), tl.full([], p, COMPUTE)
    eps = tl.full([], eps, COMPUTE)
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    rows, lanes = row[:, None], tl.arange(0, WIDTH)[None, :]
    inside = rows < count
    zero = tl.zeros([ROWS], dtype=COMPUTE)
    start = zero + float("inf") if NORM == 4 else zero
    state = start, zero, start, zero, start, zero
    tiles = tl.cdiv(width, WIDTH)
    if WHOLE:
        whole = inside & (lanes < width)
        near, far, swapped = load_three(
            a_ptr, p_ptr, n_ptr, rows, lanes, whole, a_stride, p_stride, n_stride, eps, COMPUTE
        )
        state = distances(near, far, swapped, state, whole, p, NORM, SWAP)
    else:
        for tile in range(tiles):
            columns = tile * WIDTH + lanes
            mask = inside & (columns < width)
            near_k, far_k, swapped_k = load_three(
                a_ptr, p_ptr, n_ptr, rows, columns, mask, a_stride, p_stride, n_stride, eps, COMPUTE
            )
            state = distances(near_k, far_k, swapped_k, state, mask, p, NORM, SWAP)
    near_d, far_d = close(state[0], state[1], p, NORM), close(state[2], state[3], p, NORM)
    swapped_d = close(state[4], state[5], p, NORM)
    state = near_d, state[1], far_d, state[3], swapped_d, state[5]
    share = zero + 1.0
    nearest = far_d
    if SWAP:
        share = tl.where(far_d < swapped_d, 1.0, tl.where(far_d == swapped_d, 0.5, 0.0)).to(COMPUTE)
        nearest = tl.where((swapped_d < far_d) | (swapped_d != swapped_d), swapped_d, far_d)
    gap = margin + near_d - nearest
    if loss_ptr is not None:
        loss = tl.where(gap < 0, 0.0, gap)
        tl.store(loss_ptr + row, loss.to(loss_ptr.dtype.element_ty), mask=row < count)

    if (grad_a_ptr is not None or grad_p_ptr is not None) or grad_n_ptr is not None:
        slope = tl.where(gap >= 0, 1.0, 0.0).to(COMPUTE) * tl.full([], factor, COMPUTE)
        if upstream_ptr is not None:
            upstream = tl.load(upstream_ptr + row * upstream_stride, mask=row < count, other=0.0)
            slope = tl.where(slope == 0, 0.0, slope * upstream.to(COMPUTE))
        if WHOLE:
            store_three(
                grad_a_ptr, grad_p_ptr, grad_n_ptr, rows * width + lanes, whole, near, far, swapped, state, share,
                slope, p, NORM, SWAP,
            )  # fmt: skip
        else:
            for tile in range(tiles):
                columns = tile * WIDTH + lanes
                mask = inside & (columns < width)
                near_k, far_k, swapped_k = load_three(
                    a_ptr, p_ptr, n_ptr, rows, columns, mask, a_stride, p_stride, n_stride, eps, COMPUTE
                )
                store_three(
                    grad_a_ptr, grad_p_ptr, grad_n_ptr, rows * width + columns, mask, near_k, far_k, swapped_k, state,
                    share, slope, p, NORM, SWAP,
                )  # fmt: skip
