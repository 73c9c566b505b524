# mypy: ignore-errors
# ruff: noqa: RET505
# Reason: kernels are Triton's language, their arguments have no Python types.
"""One element of each elementwise loss: value, derivative in the input, derivative in the target.

Every function has the signature `point(x, t, pos_weight, first, second)`: x and t are tiles in the compute type,
`pos_weight` is one too or None, `first` and `second` are the loss's numbers (beta, delta, alpha, gamma). Derivatives
that a kernel does not store cost nothing: the compiler removes them.
"""

import triton
import triton.language as tl

from .numerics import exp, half_hyperbolic, log1p_unit, log2_rough, multiply, power, reciprocal, sigmoids, sign


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

    Below |d| = 1 the large terms of |d| + log1p(exp(-2|d|)) - log(2) cancel. There log1p(2 s^2) is used, and
    tanh(d) = 2 s c / (1 + 2 s^2), with s = sinh(d/2), c = cosh(d/2). Both branches share one logarithm and quotient.
    """
    d = x - t
    a = tl.abs(d)
    small = a < 1.0
    s, c = half_hyperbolic(tl.where(small, a, 0.0))
    u = exp(-2.0 * a)
    rest = tl.where(small, 2.0 * s * s, u)
    value = log1p_unit(rest) + tl.where(small, 0.0, a - 0.6931471805599453)
    slope = tl.where(small, 2.0 * s * c, 1.0 - u) * reciprocal(1.0 + rest)
    slope = tl.where(d < 0, -slope, slope)
    return value, slope, -slope


@triton.jit
def bce(x, t, pos_weight, first, second):
    """-(t log x + (1 - t) log(1 - x)), with logarithms clamped at -100 and x (1 - x) at 1e-12, as in torch."""
    tl.device_assert((x >= 0) & (x <= 1), "all elements of input should be between 0 and 1")
    tl.device_assert((t >= 0) & (t <= 1), "all elements of target should be between 0 and 1")
    log_x = tl.maximum(tl.log(x), -100.0)
    # log(1 - x): the rounding error of w = 1 - x matters only for w in (1/2, 1], where 1 / w is close enough to 1 + x.
    w = 1.0 - x
    log_rest = tl.maximum(tl.log(w) - (x - (1.0 - w)) * (1.0 + x), -100.0)
    least = tl.full([], 1e-12, x.dtype)  # a literal would be a float32 in Triton 3.6
    slope = (x - t) * reciprocal(tl.maximum((1.0 - x) * x, least))
    return -(t * log_x + (1.0 - t) * log_rest), slope, log_rest - log_x


@triton.jit
def log_of(x, rest):
    """log(x) to about 14 bits, with rest = 1 - x: a series near 1, where the hardware's logarithm is inaccurate."""
    series = -rest * (1.0 + rest * (0.5 + rest * (1 / 3 + rest * 0.25)))
    return tl.where(rest < 0.0625, series, log2_rough(x) * 0.6931471805599453)


@triton.jit
def bce_half(x, t, pos_weight, first, second):
    """`bce` for half precision, 11 bits or fewer: two exact logarithms would take longer than the memory traffic."""
    tl.device_assert((x >= 0) & (x <= 1), "all elements of input should be between 0 and 1")
    tl.device_assert((t >= 0) & (t <= 1), "all elements of target should be between 0 and 1")
    rest = 1.0 - x
    log_x = tl.maximum(log_of(x, rest), -100.0)
    log_rest = tl.maximum(log_of(rest, x), -100.0)
    slope = (x - t) * reciprocal(tl.maximum(rest * x, 1e-12))
    return -(t * log_x + (1.0 - t) * log_rest), slope, log_rest - log_x


@triton.jit
def logistic(x, t):
    """Cross entropy with logits, its derivatives, and sigmoid(x), sigmoid(-x).

    t softplus(-x) + (1 - t) softplus(x) = log1p(exp(-|x|)) + |x| u, with u the share of the target that contradicts the
    sign of x; the product is 0 for u = 0 and an infinite x. The derivative (1 - t) sigmoid(x) - t sigmoid(-x) keeps the
    digits of both tails.
    """
    up, down, e = sigmoids(x)
    wrong_share = tl.where(x >= 0, 1.0 - t, t)
    value = log1p_unit(e) + multiply(wrong_share, tl.abs(x))
    return value, (1.0 - t) * up - t * down, -x, up, down


@triton.jit
def bce_with_logits(x, t, pos_weight, first, second):
    """pos_weight t softplus(-x) + (1 - t) softplus(x); 0 times an infinite softplus is 0."""
    if pos_weight is None:
        value, slope, slope_target, _, _ = logistic(x, t)
    else:
        up, down, e = sigmoids(x)
        tail = log1p_unit(e)
        plus = tl.maximum(x, 0.0) + tail
        minus = tl.maximum(-x, 0.0) + tail
        value = multiply(pos_weight * t, minus) + multiply(1.0 - t, plus)
        slope = (1.0 - t) * up - pos_weight * t * down
        slope_target = multiply(pos_weight - 1.0, minus) - x
    return value, slope, slope_target


@triton.jit
def focal(x, t, alpha, gamma, SQUARE: tl.constexpr):
    """alpha_t q^gamma ce with q = 1 - p_t = sigmoid(x)(1 - t) + sigmoid(-x) t and ce the cross entropy with logits.

    dq/dx = sigmoid(x) sigmoid(-x) (1 - 2t). alpha < 0 means no weighting. `modulation` is q^gamma, and
    `modulation_slope` is gamma q^(gamma - 1) sigmoid(x) sigmoid(-x).
    """
    ce, slope_ce, slope_ce_target, up, down = logistic(x, t)
    q = up * (1.0 - t) + down * t
    alpha_slope = tl.where(alpha < 0, 0.0, 2.0 * alpha - 1.0)
    weight = tl.where(alpha < 0, 1.0, 1.0 - alpha) + alpha_slope * t
    modulation, modulation_slope, modulation_slope_q = modulating(q, up * down, gamma, SQUARE)
    slope = weight * (modulation * slope_ce + multiply(modulation_slope, ce) * (1.0 - 2.0 * t))
    per_target = multiply(modulation_slope_q, ce) * (down - up) + modulation * slope_ce_target
    return multiply(weight * modulation, ce), slope, multiply(alpha_slope * modulation, ce) + weight * per_target


@triton.jit
def modulating(q, product, gamma, SQUARE: tl.constexpr):
    """q^gamma, gamma q^(gamma - 1) product, gamma q^(gamma - 1), where product = sigmoid(x) sigmoid(-x) <= q.

    The second is computed as gamma q^gamma times product / q, which is in [0, 1], where q^(gamma - 1) may be infinite.
    SQUARE: gamma is 2, its default, which needs neither logarithm nor quotient.
    """
    if SQUARE:
        return q * q, 2.0 * q * product, 2.0 * q
    else:
        modulation = power(q, gamma)
        ratio = tl.where(q == 0, 1.0, product / q)
        return modulation, gamma * modulation * ratio, tl.where(q == 0, 0.0, gamma * modulation / q)


@triton.jit
def sigmoid_focal(x, t, pos_weight, alpha, gamma):
    """The focal loss for any gamma >= 0."""
    return focal(x, t, alpha, gamma, False)


@triton.jit
def sigmoid_focal_square(x, t, pos_weight, alpha, gamma):
    """The focal loss for gamma = 2."""
    return focal(x, t, alpha, gamma, True)


# Loss -> pointwise function, with further ones for gamma = 2 and for half precision.
POINTS = {
    "l1_loss": l1,
    "mse_loss": mse,
    "smooth_l1_loss": smooth_l1,
    "huber_loss": huber,
    "log_cosh_loss": log_cosh,
    "binary_cross_entropy": bce,
    "binary_cross_entropy in half precision": bce_half,
    "binary_cross_entropy_with_logits": bce_with_logits,
    "sigmoid_focal_loss": sigmoid_focal,
    "sigmoid_focal_loss with gamma 2": sigmoid_focal_square,
}
