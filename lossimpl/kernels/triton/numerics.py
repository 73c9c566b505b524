# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Scalar functions that Triton lacks, or has only in a form that loses digits.

All take and return tensors in the compute type (float32, or float64 for float64 inputs). A bf16 kernel that is limited
by memory has about 40 instructions per element, so some functions use a single hardware approximation, to which Triton
would add further instructions. The interpreter uses its own functions instead.
"""

import triton
import triton.language as tl

HARDWARE: tl.constexpr = tl.constexpr(not triton.knobs.runtime.interpret)


@triton.jit
def exp2_flushed(x):
    """2 ** x, in float32 with subnormal results flushed to 0."""
    if HARDWARE and x.dtype == tl.float32:
        return tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)
    else:
        return tl.exp2(x)


@triton.jit
def exp_flushed(x):
    """exp(x), in float32 with subnormal results flushed to 0: for terms of sums that are at least 1."""
    return exp2_flushed(x * 1.4426950408889634)


@triton.jit
def exp(x):
    """exp(x), in float32 as the square of exp(x / 2), which is normal where exp(x) is subnormal."""
    if x.dtype == tl.float32:
        root = exp2_flushed(x * 0.7213475204444817)
        return root * root
    else:
        return tl.exp(x)


@triton.jit
def log2_rough(x):
    """log2(x), in float32 with an error of 2^-22, absolute near 1 and relative elsewhere."""
    if HARDWARE and x.dtype == tl.float32:
        return tl.inline_asm_elementwise("lg2.approx.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)
    else:
        return tl.log2(x)


@triton.jit
def multiply(coefficient, value):
    """coefficient * value, but 0 instead of NaN for a zero coefficient and an infinite value."""
    return tl.where(coefficient == 0, 0.0, coefficient * value)


@triton.jit
def finite_reference(m):
    """A running maximum to subtract: 0 if it is -inf, since -inf - -inf is NaN."""
    return tl.where(m == float("-inf"), 0.0, m)


@triton.jit
def log1p(a):
    """log(1 + a) for a >= -1: w = 1 + a has the rounding error a - (w - 1), which adds that over w to the logarithm."""
    w = 1.0 + a
    return tl.where(w > 0, tl.log(w) + (a - (w - 1.0)) / w, tl.log(w))


@triton.jit
def log1p_unit(e):
    """log(1 + e) for e in [0, 1].

    In float32, e times a polynomial interpolated at Chebyshev nodes, with relative error 5e-9 before rounding. It takes
    a dozen instructions; the library's logarithm and the correction for 1 + e take about thirty.
    """
    if e.dtype == tl.float64:
        series = log1p(e)
    else:
        series = 0.01954252722 - 0.00317605701 * e
        series = 0.1054362379 + e * (-0.05637361275 + e * series)
        series = 0.1966327426 + e * (-0.1526966707 + e * series)
        series = 0.333297105 + e * (-0.2495161626 + e * series)
        series = e * (0.9999999947 + e * (-0.4999989265 + e * series))
    return series


@triton.jit
def reciprocal(w):
    """1 / w for normal w and result: in float32 to one unit in the last place, without a division's range checks."""
    if HARDWARE and w.dtype == tl.float32:
        return tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=f,f", [w], tl.float32, is_pure=True, pack=1)
    else:
        return 1.0 / w


@triton.jit
def power(base, exponent):
    """base ** exponent for base >= 0, with 0 ** 0 = 1."""
    return tl.where(exponent == 0, 1.0, tl.exp2(exponent * tl.log2(base)))


@triton.jit
def sign(d):
    """-1, 0 or 1; 0 for NaN, as in the gradient of torch's L1 loss."""
    return tl.where(d > 0, 1.0, tl.where(d < 0, -1.0, 0.0)).to(d.dtype)


@triton.jit
def sigmoids(x):
    """sigmoid(x) and sigmoid(-x), each with full relative precision, and exp(-|x|)."""
    e = exp(-tl.abs(x))
    high = reciprocal(1.0 + e)
    low = e * high
    return tl.where(x >= 0, high, low), tl.where(x >= 0, low, high), e


@triton.jit
def half_hyperbolic(d):
    """sinh(d / 2) and cosh(d / 2) for |d| <= 1 by their Taylor series.

    The first omitted term is below half an ulp of the result: after 7 and 8 terms in float64, after 4 in float32.
    """
    h = d * 0.5
    s = h * h
    if d.dtype == tl.float64:
        odd = 1.0 + s / 110 * (1.0 + s / 156 * (1.0 + s / 210))
        odd = 1.0 + s / 6 * (1.0 + s / 20 * (1.0 + s / 42 * (1.0 + s / 72 * odd)))
        even = 1.0 + s / 90 * (1.0 + s / 132 * (1.0 + s / 182 * (1.0 + s / 240)))
        even = 1.0 + s / 2 * (1.0 + s / 12 * (1.0 + s / 30 * (1.0 + s / 56 * even)))
    else:
        odd = 1.0 + s * (1 / 6 + s * (1 / 120 + s * (1 / 5040)))
        even = 1.0 + s * (1 / 2 + s * (1 / 24 + s * (1 / 720)))
    return h * odd, even
