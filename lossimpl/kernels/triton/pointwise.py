# mypy: ignore-errors
# Reason: kernels are Triton's language, their arguments have no Python types.
"""One element of each elementwise loss: value, derivative in the input, derivative in the target.

Every function has the shape `point(x, t, pos_weight, first, second)`: x and t are tiles in the compute type, `first`
and `second` the loss's numbers (beta, delta, alpha, gamma). Derivatives that a kernel does not store cost nothing:
the compiler removes them.
"""

import triton
import triton.language as tl

from .numerics import half_sinh, log1p, multiply, power, sigmoids, sign


@triton.jit
def l1(x, t, pos_weight, first, second):
    """|x - t|; the derivative at 0 is 0."""
    d = x - t
    return tl.abs(d), sign(d), -sign(d)


@triton.jit
def mse(x, t, pos_weight, first, second):
    """(x - t)^2."""
    d = x - t
    return d * d, 2.0 * d, -2.0 * d


@triton.jit
def smooth_l1(x, t, pos_weight, beta, second):
    """d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere."""
    d = x - t
    a = tl.abs(d)
    slope = tl.where(a >= beta, sign(d), d / beta)
    return tl.where(a < beta, 0.5 * d * (d / beta), a - 0.5 * beta), slope, -slope


@triton.jit
def huber(x, t, pos_weight, delta, second):
    """d^2 / 2 where |d| < delta, delta (|d| - delta / 2) elsewhere."""
    d = x - t
    a = tl.abs(d)
    slope = tl.where(a >= delta, sign(d) * delta, d)
    return tl.where(a < delta, 0.5 * d * d, delta * (a - 0.5 * delta)), slope, -slope


@triton.jit
def log_cosh(x, t, pos_weight, first, second):
    """log(cosh(d)), derivative tanh(d).

    Below |d| = 1 the two large terms of |d| + log1p(exp(-2|d|)) - log(2) cancel, so log1p(2 sinh(d/2)^2) is taken, and
    tanh(d) = 2 s sqrt(1 + s^2) / (1 + 2 s^2) with s = sinh(d/2). Both branches share one logarithm and one division.
    """
    d = x - t
    a = tl.abs(d)
    small = a < 1.0
    s = half_sinh(tl.where(small, a, 0.0))
    u = tl.exp(-2.0 * a)
    rest = tl.where(small, 2.0 * s * s, u)
    value = log1p(rest) + tl.where(small, 0.0, a - 0.6931471805599453)
    slope = tl.where(small, 2.0 * s * tl.sqrt(1.0 + s * s), 1.0 - u) / (1.0 + rest)
    slope = tl.where(d < 0, -slope, slope)
    return value, slope, -slope


@triton.jit
def bce(x, t, pos_weight, first, second):
    """-(t log x + (1 - t) log(1 - x)), the logarithms held above -100 and x (1 - x) above 1e-12 as torch does."""
    tl.device_assert((x >= 0) & (x <= 1), "all elements of input should be between 0 and 1")
    log_x = tl.maximum(tl.log(x), -100.0)
    log_rest = tl.maximum(log1p(-x), -100.0)
    slope = (x - t) / tl.maximum((1.0 - x) * x, 1e-12)
    return -(t * log_x + (1.0 - t) * log_rest), slope, log_rest - log_x


@triton.jit
def bce_with_logits(x, t, pos_weight, first, second):
    """pos_weight t softplus(-x) + (1 - t) softplus(x); a zero coefficient beats an infinite softplus."""
    up, down, e = sigmoids(x)
    tail = log1p(e)
    plus = tl.maximum(x, 0.0) + tail
    minus = tl.maximum(-x, 0.0) + tail
    value = multiply(pos_weight * t, minus) + multiply(1.0 - t, plus)
    slope_target = multiply(pos_weight - 1.0, minus) - x
    return value, (1.0 - t) * up - pos_weight * t * down, slope_target


@triton.jit
def sigmoid_focal(x, t, pos_weight, alpha, gamma):
    """alpha_t q^gamma ce with q = 1 - p_t = sigmoid(x)(1 - t) + sigmoid(-x) t and ce the cross entropy with logits.

    dq/dx = sigmoid(x) sigmoid(-x) (1 - 2t), and q^(gamma - 1) sigmoid(x) sigmoid(-x) is written q^gamma * ratio,
    because the ratio stays between 0 and 1 where the power of a vanishing q does not stay finite. alpha < 0 means no
    weighting.
    """
    ce, slope_ce, slope_ce_target = bce_with_logits(x, t, 1.0, 0.0, 0.0)
    up, down, _ = sigmoids(x)
    q = up * (1.0 - t) + down * t
    ratio = tl.where(q == 0, 1.0, up * down / q)
    weight = tl.where(alpha < 0, 1.0, alpha * t + (1.0 - alpha) * (1.0 - t))
    tilt = tl.where(alpha < 0, 0.0, 2.0 * alpha - 1.0)
    modulation = power(q, gamma)
    bend = gamma * multiply(ratio, ce) * (1.0 - 2.0 * t)
    per_q = tl.where(q == 0, 0.0, multiply(gamma * modulation / q, ce))
    slope = weight * modulation * (slope_ce + bend)
    slope_target = multiply(tilt * modulation, ce) + weight * (per_q * (down - up) + modulation * slope_ce_target)
    return multiply(weight * modulation, ce), slope, slope_target


# The loss's name -> its point function. Numbers: smooth_l1 beta, huber delta, sigmoid_focal alpha and gamma.
POINTS = {
    "l1_loss": l1,
    "mse_loss": mse,
    "smooth_l1_loss": smooth_l1,
    "huber_loss": huber,
    "log_cosh_loss": log_cosh,
    "binary_cross_entropy": bce,
    "binary_cross_entropy_with_logits": bce_with_logits,
    "sigmoid_focal_loss": sigmoid_focal,
}
