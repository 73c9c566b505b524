# mypy: ignore-errors
# Reason: kernels are Triton's language, their arguments have no Python types.
"""Cross entropy over rows of class logits with class probabilities as targets, and the gradients of both.

With c = weight * (t (1 - smoothing) + smoothing / classes): loss = k log(s) - d, where s = sum exp(x - top), k = sum c,
d = sum c (x - top). The gradient in x is k p - c; in t it is -weight (1 - smoothing) log p. `class_tiles` describes how
rows are walked.
"""

import triton
import triton.language as tl

from .class_tiles import edges, empty_state, fold, merge, row_scale
from .numerics import exp, finite_reference


@triton.jit
def coefficients(
    t_ptr, offsets, weight_ptr, columns, mask, smoothing, classes, COMPUTE: tl.constexpr
):  # fmt: skip
    """The coefficients c and their derivative in t, 0 outside the mask."""
    factor = tl.where(mask, 1.0, 0.0).to(COMPUTE)
    if weight_ptr is not None:
        factor = tl.load(weight_ptr + columns, mask=mask, other=0.0).to(COMPUTE)
    t = tl.load(t_ptr + offsets, mask=mask, other=0.0).to(COMPUTE)
    return factor * (t * (1.0 - smoothing) + smoothing / classes), factor * (1.0 - smoothing)


@triton.jit
def fold_tile(
    x_ptr, t_ptr, weight_ptr, x_offsets, t_offsets, columns, mask, smoothing, classes, state,
    FIRST_READ: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """Load one tile of logits and targets, and add it to the state of the lanes."""
    x = tl.load(x_ptr + x_offsets, mask=mask, other=float("-inf"), eviction_policy=FIRST_READ).to(COMPUTE)
    c, _ = coefficients(t_ptr, t_offsets, weight_ptr, columns, mask, smoothing, classes, COMPUTE)
    return fold(x, c, state, True)


@triton.jit
def store_tile(
    x_ptr, t_ptr, weight_ptr, grad_x_ptr, grad_t_ptr, x_offsets, t_offsets, columns, mask, smoothing, classes,
    top, total, coefficient_sum, scale, COMPUTE: tl.constexpr,
):  # fmt: skip
    """Load one tile again and store its gradients."""
    x = tl.load(x_ptr + x_offsets, mask=mask, other=float("-inf"), eviction_policy="evict_first").to(COMPUTE)
    c, slope = coefficients(t_ptr, t_offsets, weight_ptr, columns, mask, smoothing, classes, COMPUTE)
    shifted = x - finite_reference(top)
    if grad_x_ptr is not None:
        grad = (coefficient_sum * (exp(shifted) / total) - c) * scale
        tl.store(grad_x_ptr + x_offsets, grad.to(grad_x_ptr.dtype.element_ty), mask=mask, cache_modifier=".cs")
    if grad_t_ptr is not None:
        grad = slope * (tl.log(total) - shifted) * scale
        tl.store(grad_t_ptr + t_offsets, grad.to(grad_t_ptr.dtype.element_ty), mask=mask, cache_modifier=".cs")


@triton.jit
def probability_rows_kernel(
    x_ptr,  # [rows, width] logits, unit stride along a row
    t_ptr,  # [rows, width] probabilities, unit stride along a row
    weight_ptr,  # [width] or None
    upstream_ptr,  # [rows] or [1], or None
    loss_ptr,  # [rows] or None
    grad_x_ptr,  # as x, or None
    grad_t_ptr,  # as t, or None
    width,
    x_stride,
    t_stride,
    upstream_stride,
    smoothing: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    factor: "fp64",  # noqa: F821 - the type of the argument, as Triton reads it
    EDGES: tl.constexpr,
    ALIKE: tl.constexpr,
    FIRST_READ: tl.constexpr,
    COMPUTE: tl.constexpr,
    LANES: tl.constexpr,
    VECTOR: tl.constexpr,
):
    """One program per row. ALIKE: both tensors have the same row stride and so the same alignment."""
    row = tl.program_id(0).to(tl.int64)
    smoothing = tl.full([], smoothing, COMPUTE)
    start, t_start = row * x_stride, row * t_stride
    edge_base, edge_mask, head, vectors = edges(start, width, VECTOR)
    edge_columns = edge_base + tl.arange(0, VECTOR)[None, :]
    inner = tl.arange(0, LANES)[:, None] * VECTOR + tl.arange(0, VECTOR)[None, :]
    lane = tl.arange(0, LANES)[:, None]
    x_body = (start + VECTOR - 1) // VECTOR * VECTOR
    t_body = x_body if ALIKE else t_start + head
    tiles = tl.cdiv(vectors, LANES)

    edge_state = empty_state(2, COMPUTE)
    if EDGES:
        edge_state = fold_tile(
            x_ptr, t_ptr, weight_ptr, start + edge_columns, t_start + edge_columns, edge_columns, edge_mask,
            smoothing, width, edge_state, FIRST_READ, COMPUTE,
        )  # fmt: skip
    state = empty_state(LANES, COMPUTE)
    for tile in range(tiles):
        place = tile * (LANES * VECTOR) + inner
        state = fold_tile(
            x_ptr, t_ptr, weight_ptr, x_body + place, t_body + place, head + place, tile * LANES + lane < vectors,
            smoothing, width, state, FIRST_READ, COMPUTE,
        )  # fmt: skip
    top = tl.maximum(tl.max(state[0], axis=0), tl.max(edge_state[0], axis=0))
    total, coefficient_sum, deviation = merge(state, top, True)
    edge_total, edge_coefficient_sum, edge_deviation = merge(edge_state, top, True)
    total, coefficient_sum, deviation = (
        total + edge_total, coefficient_sum + edge_coefficient_sum, deviation + edge_deviation,
    )  # fmt: skip
    total = tl.where(top == float("-inf"), float("nan"), total)
    if loss_ptr is not None:
        tl.store(loss_ptr + row, (coefficient_sum * tl.log(total) - deviation).to(loss_ptr.dtype.element_ty))

    if grad_x_ptr is not None or grad_t_ptr is not None:
        scale = row_scale(row, upstream_ptr, upstream_stride, COMPUTE) * tl.full([], factor, COMPUTE)
        if EDGES:
            store_tile(
                x_ptr, t_ptr, weight_ptr, grad_x_ptr, grad_t_ptr, start + edge_columns, t_start + edge_columns,
                edge_columns, edge_mask, smoothing, width, top, total, coefficient_sum, scale, COMPUTE,
            )  # fmt: skip
        for k in range(tiles):
            tile = tiles - 1 - k
            place = tile * (LANES * VECTOR) + inner
            store_tile(
                x_ptr, t_ptr, weight_ptr, grad_x_ptr, grad_t_ptr, x_body + place, t_body + place, head + place,
                tile * LANES + lane < vectors, smoothing, width, top, total, coefficient_sum, scale, COMPUTE,
            )  # fmt: skip
