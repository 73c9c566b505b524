# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` stores the compiler from compiling the rest.
"""Losses over rows of class logits with class indices as targets: cross entropy, softmax focal loss.

The target's logit is excluded from the maximum m and the sum. With `rest` the sum over the other classes, relative to
the overall maximum, 1 - p_target = rest / (rest + e_target) has no cancellation however confident the row is, and
neither has -log p_target = log1p(rest) if the target is the maximum.
"""

import triton
import triton.language as tl

from .class_tiles import edges, empty_state, fold_others, merge, row_scale, store_gradient
from .numerics import finite_reference, log1p, multiply, power
from .parts import all_parts, row_and_part
from .reduce import valid_weights


@triton.jit
def row_terms(
    x_target, weight_target, weight_sum, deviation, rest, other_top, top, smoothing, alpha, gamma, classes,
    FOCAL: tl.constexpr, SMOOTH: tl.constexpr,
):  # fmt: skip
    """The loss, the factor a in the gradient a * exp(x - top) of the other classes, the gradient of the target."""
    e_target = tl.exp(x_target - finite_reference(top))
    total = rest + e_target
    log_total = tl.where(x_target >= other_top, log1p(rest), tl.log(total))
    log_p = (x_target - top) - log_total
    q = rest / total
    if FOCAL:
        # d/dp of -(1-p)^gamma log p, times p: with q^(gamma-1) log p = q^gamma (log p / q), finite as q vanishes.
        p = e_target / total
        modulation = power(q, gamma)
        decay = tl.where(q == 0, -1.0, multiply(p, log_p) / q)
        slope = alpha * weight_target * modulation * (1.0 - gamma * decay)
        return -alpha * weight_target * multiply(modulation, log_p), slope / total, -slope * q
    elif SMOOTH:
        own = weight_target * (1.0 - smoothing)
        spread = smoothing / classes
        loss = -weight_target * multiply(1.0 - smoothing, log_p) + spread * (weight_sum * log_total - deviation)
        at_target = spread * (weight_sum * (e_target / total) - weight_target) - own * q
        return loss, (own + spread * weight_sum) / total, at_target
    else:
        return -weight_target * log_p, weight_target / total, -weight_target * q


@triton.jit
def mean_divisor(
    divisor_ptr, target_ptr, weight_ptr, rows, stores, ignore_index, classes,
    FOCAL: tl.constexpr, COUNT: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """The divisor of the mean: loaded, or if COUNT covers all rows, summed by every program and stored by one."""
    if divisor_ptr is None:
        return tl.full([], 1.0, COMPUTE)
    elif COUNT == 0:
        return tl.load(divisor_ptr).to(COMPUTE)
    else:
        counted_ptr = None if FOCAL else weight_ptr
        offsets = tl.arange(0, COUNT)
        weights = valid_weights(target_ptr, counted_ptr, offsets, rows, ignore_index, classes, COMPUTE)
        total = tl.sum(weights, axis=0)
        if stores:
            tl.store(divisor_ptr, total)
        return total


@triton.jit
def class_rows_kernel(
    x_ptr,  # [rows, width] logits, unit stride along a row
    target_ptr,  # [rows] class indices
    weight_ptr,  # [width] class weights, or None
    upstream_ptr,  # [rows] or [1], or None
    divisor_ptr,  # [1] or None; written if COUNT > 0
    loss_ptr,  # [rows] or None
    grad_ptr,  # [rows, width] with the strides of x, or None
    workspace_ptr,  # [1 + rows * PARTS] zeros if PARTS > 1; see `parts`
    width,
    x_stride,
    upstream_stride,
    ignore_index,
    smoothing: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    alpha: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    gamma: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    FOCAL: tl.constexpr,
    SMOOTH: tl.constexpr,
    EDGES: tl.constexpr,
    WHOLE: tl.constexpr,
    FIRST_READ: tl.constexpr,
    COUNT: tl.constexpr,
    PARTS: tl.constexpr,
    WAIT: tl.constexpr,
    COMPUTE: tl.constexpr,
    LANES: tl.constexpr,
    VECTOR: tl.constexpr,
):
    """One program per row, or per part of a row: loss, gradient, or both.

    WHOLE: the middle of the row is one tile and stays on chip.
    """
    row, part = row_and_part(workspace_ptr, PARTS)
    target = tl.load(target_ptr + row)
    start = row * x_stride
    edge_base, edge_mask, head, vectors = edges(start, width, VECTOR)
    edge_columns = edge_base + tl.arange(0, VECTOR)[None, :]
    TILE: tl.constexpr = LANES * VECTOR
    inner = tl.arange(0, LANES)[:, None] * VECTOR + tl.arange(0, VECTOR)[None, :]
    lane = tl.arange(0, LANES)[:, None]
    # start + head, in a form that the compiler recognises as a multiple of VECTOR, so that it moves 16 bytes at once.
    aligned = (start + VECTOR - 1) // VECTOR * VECTOR
    if PARTS > 1:
        edge_mask = edge_mask & (tl.full([2, 1], part, tl.int32) == 0)
        skipped = part * tl.cdiv(vectors, PARTS)
        vectors = tl.maximum(tl.minimum(tl.cdiv(vectors, PARTS), vectors - skipped), 0)
        head += skipped * VECTOR
        aligned += skipped * VECTOR
    x_row, x_body = x_ptr + start, x_ptr + aligned
    tiles = tl.cdiv(vectors, LANES)
    if grad_ptr is not None:
        grad_row, grad_body = grad_ptr + start, grad_ptr + aligned

    rows = tl.num_programs(0) // PARTS
    is_first = (row == 0) & (part == 0)
    divisor = mean_divisor(
        divisor_ptr, target_ptr, weight_ptr, rows, is_first, ignore_index, width, FOCAL, COUNT, COMPUTE
    )
    if target == ignore_index:
        if loss_ptr is not None:
            tl.store(loss_ptr + row, 0.0, mask=part == 0)
        if grad_ptr is not None:
            if EDGES:
                tl.store(grad_row + edge_columns, tl.zeros_like(edge_columns).to(grad_ptr.dtype.element_ty), edge_mask)
            for tile in range(tiles):
                zero = tl.zeros([LANES, VECTOR], dtype=grad_ptr.dtype.element_ty)
                tl.store(grad_body + (tile * TILE + inner), zero, mask=tile * LANES + lane < vectors)
        return

    tl.device_assert((target >= 0) & (target < width), "class target out of bounds")
    target = target.to(tl.int32)
    edge_state = empty_state(2, COMPUTE)
    if EDGES:
        x_edge = tl.load(x_row + edge_columns, mask=edge_mask, other=float("-inf"))
        edge_state = fold_others(x_edge, edge_base, edge_mask, True, weight_ptr, target, edge_state, SMOOTH, COMPUTE)
    state = empty_state(LANES, COMPUTE)
    base = head + lane * VECTOR
    mask = lane < vectors
    if WHOLE:
        x = tl.load(x_body + inner, mask=mask, other=float("-inf"))
        state = fold_others(x, base, mask, True, weight_ptr, target, state, SMOOTH, COMPUTE)
    else:
        # The next tile is loaded while this one is computed.
        x = tl.load(x_body + inner, mask=mask, other=float("-inf"), eviction_policy=FIRST_READ)
        for tile in range(tiles):
            first = tile * TILE
            ahead_mask = (tile + 1) * LANES + lane < vectors
            ahead = x_body + (first + TILE + inner)
            ahead = tl.load(ahead, mask=ahead_mask, other=float("-inf"), eviction_policy=FIRST_READ)
            near = (target >= head + first) & (target < head + first + TILE)
            mask = tile * LANES + lane < vectors
            state = fold_others(x, first + base, mask, near, weight_ptr, target, state, SMOOTH, COMPUTE)
            x = ahead

    x_target = tl.load(x_row + target).to(COMPUTE)
    weight_target = tl.full([], 1.0, COMPUTE)
    if weight_ptr is not None:
        weight_target = tl.load(weight_ptr + target).to(COMPUTE)
    other_top = tl.maximum(tl.max(state[0], axis=0), tl.max(edge_state[0], axis=0))
    top = other_top if PARTS > 1 else tl.maximum(other_top, x_target)
    rest, weight_sum, deviation = merge(state, top, SMOOTH)
    if EDGES:
        edge_rest, edge_weight_sum, edge_deviation = merge(edge_state, top, SMOOTH)
        rest, weight_sum, deviation = rest + edge_rest, weight_sum + edge_weight_sum, deviation + edge_deviation
    if PARTS > 1:
        tops, rests = all_parts(workspace_ptr + 1 + row * PARTS, part, top, rest, PARTS, WAIT)
        other_top = tl.max(tops, axis=0)
        top = tl.maximum(other_top, x_target)
        rest = tl.sum(rests * tl.exp(tops - finite_reference(top)), axis=0)
    weight_sum += weight_target
    deviation += multiply(weight_target, x_target - finite_reference(top))
    smoothing = tl.full([], smoothing, COMPUTE)
    terms = row_terms(
        x_target, weight_target, weight_sum, deviation, rest, other_top, top, smoothing,
        tl.full([], alpha, COMPUTE), tl.full([], gamma, COMPUTE), width, FOCAL, SMOOTH,
    )  # fmt: skip
    if loss_ptr is not None:
        tl.store(loss_ptr + row, terms[0].to(loss_ptr.dtype.element_ty), mask=part == 0)

    if grad_ptr is not None:
        scale = row_scale(row, upstream_ptr, upstream_stride, COMPUTE) / divisor
        slope, at_target, spread = terms[1] * scale, terms[2] * scale, smoothing / width * scale
        if EDGES:
            store_gradient(
                grad_row, edge_columns, x_edge, edge_base, edge_mask, True, target, weight_ptr, top, slope, at_target,
                spread, SMOOTH, COMPUTE,
            )  # fmt: skip
        if WHOLE:
            store_gradient(
                grad_body, inner, x, base, mask, True, target, weight_ptr, top, slope, at_target, spread, SMOOTH,
                COMPUTE,
            )  # fmt: skip
        else:
            last = tiles - 1
            x = tl.load(
                x_body + (last * TILE + inner), mask=last * LANES + lane < vectors, eviction_policy="evict_first"
            )
            for k in range(tiles):
                tile = last - k
                first = tile * TILE
                # All tiles but the last are full: the mask says whether there is another tile.
                ahead = x_body + (first - TILE + inner)
                ahead = tl.load(ahead, mask=lane < tile * LANES, eviction_policy="evict_first")
                near = (target >= head + first) & (target < head + first + TILE)
                store_gradient(
                    grad_body, first + inner, x, first + base, tile * LANES + lane < vectors, near, target, weight_ptr,
                    top, slope, at_target, spread, SMOOTH, COMPUTE,
                )  # fmt: skip
                x = ahead
