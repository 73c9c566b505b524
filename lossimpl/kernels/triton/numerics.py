# mypy: ignore-errors
# Reason: kernels are Triton's language, their arguments have no Python types.
"""Scalar functions that Triton lacks, or has only in a form that loses digits.

All take and return tensors in the compute type (float32, or float64 for float64 inputs). Only operations that both the
compiler and the interpreter have are used: no `libdevice` call.
"""

import triton
import triton.language as tl


@triton.jit
def multiply(coefficient, value):
    """coefficient * value, where a zero coefficient removes an infinite value instead of making NaN of it."""
    return tl.where(coefficient == 0, 0.0, coefficient * value)


@triton.jit
def finite_reference(m):
    """A running maximum as something to subtract: 0 while nothing but -inf was seen, as -inf - -inf is NaN."""
    return tl.where(m == float("-inf"), 0.0, m)


@triton.jit
def log1p(a):
    """log(1 + a) for a >= -1: the digits that 1 + a drops are (a - (w - 1)), worth that over w in the logarithm."""
    w = 1.0 + a
    return tl.where(w > 0, tl.log(w) + (a - (w - 1.0)) / w, tl.log(w))


@triton.jit
def log1p_unit(e):
    """log(1 + e) for e in [0, 1].

    In float32 e times a polynomial: interpolated at Chebyshev nodes, relative error 5e-9 before rounding. A dozen
    instructions, where the library's logarithm and the lost digits of 1 + e take some thirty.
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
    """1 / w for w in [1, 2]: in float32 a hardware estimate and a Newton step, without a quotient's range checks."""
    if w.dtype == tl.float64:
        inverse = 1.0 / w
    else:
        root = tl.rsqrt(w)
        inverse = root * root
        inverse = inverse * (2.0 - w * inverse)
    return inverse


@triton.jit
def power(base, exponent):
    """base ** exponent for base >= 0, with 0 ** 0 = 1."""
    return tl.where(exponent == 0, 1.0, tl.exp2(exponent * tl.log2(base)))


@triton.jit
def sign(d):
    """-1, 0 or 1; 0 for NaN, as torch's L1 gradient has it."""
    return tl.where(d > 0, 1.0, tl.where(d < 0, -1.0, 0.0)).to(d.dtype)


@triton.jit
def sigmoids(x):
    """sigmoid(x) and sigmoid(-x), each with full relative precision, and exp(-|x|)."""
    e = tl.exp(-tl.abs(x))
    high = reciprocal(1.0 + e)
    low = e * high
    return tl.where(x >= 0, high, low), tl.where(x >= 0, low, high), e


@triton.jit
def half_hyperbolic(d):
    """sinh(d / 2) and cosh(d / 2) for |d| <= 1 by their Taylor series.

    The first term left out is below half an ulp of the result: of float64 after 7 and 8 terms, of float32 after 4.
    """
    h = d * 0.5
    s = h * h
    if d.dtype == tl.float64:
        odd = 1.0 + s / 110 * (1.0 + s / 156 * (1.0 + s / 210))
        odd = 1.0 + s / 6 * (1.0 + s / 20 * (1.0 + s / 42 * (1.0 + s / 72 * odd)))
        even = 1.0 + s / 90 * (1.0 + s / 132 * (1.0 + s / 182 * (1.0 + s / 240)))
        even = 1.0 + s / 2 * (1.0 + s / 12 * (1.0 + s / 30 * (1.0 + s / 56 * even)))
    else:
        odd = 1.0 + s * (1 / 6) * (1.0 + s * (1 / 20) * (1.0 + s * (1 / 42)))
        even = 1.0 + s * (1 / 2) * (1.0 + s * (1 / 12) * (1.0 + s * (1 / 30)))
    return h * odd, even
