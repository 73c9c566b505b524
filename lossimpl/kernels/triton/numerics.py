# mypy: ignore-errors
# Reason: kernels are Triton's language, their arguments have no Python types.
"""Scalar functions that Triton lacks, or has only in a form that loses digits.

All take and return tensors in the compute type (float32, or float64 for float64 inputs). Only operations that both the
compiler and the interpreter have are used: no `libdevice` call.
"""

import triton
import triton.language as tl

# As a kernel argument's annotation: it arrives as float64. Without it Triton would round a Python float to float32.
FP64 = "fp64"


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
def power(base, exponent):
    """base ** exponent for base >= 0 and exponent >= 0, with 0 ** 0 = 1."""
    return tl.where(exponent == 0, 1.0, tl.exp2(exponent * tl.log2(base)))


@triton.jit
def sign(d):
    """-1, 0 or 1; 0 for NaN, as torch's L1 gradient has it."""
    return tl.where(d > 0, 1.0, tl.where(d < 0, -1.0, 0.0)).to(d.dtype)


@triton.jit
def sigmoids(x):
    """sigmoid(x) and sigmoid(-x), each with full relative precision, and exp(-|x|)."""
    e = tl.exp(-tl.abs(x))
    high = 1.0 / (1.0 + e)
    low = e * high
    return tl.where(x >= 0, high, low), tl.where(x >= 0, low, high), e


@triton.jit
def half_sinh(d):
    """sinh(d / 2) for |d| <= 1 by its Taylor series: 1/13! (1/2)**13 is below half an ulp of float64."""
    h = d * 0.5
    s = h * h
    if d.dtype == tl.float64:
        series = 1.0 + s / 110 * (1.0 + s / 156 * (1.0 + s / 210))
        series = 1.0 + s / 6 * (1.0 + s / 20 * (1.0 + s / 42 * (1.0 + s / 72 * series)))
    else:
        series = 1.0 + s * (1 / 6) * (1.0 + s * (1 / 20) * (1.0 + s * (1 / 42)))
    return h * series
