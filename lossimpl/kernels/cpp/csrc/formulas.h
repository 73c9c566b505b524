// The losses of two tensors at one element: value, and both derivatives.
#pragma once
#include "math.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

template <class V>
struct Point {
  V loss, d_input, d_target;
};

// What a formula may ask for besides input and target.
template <class V>
struct Given {
  using Scalar = std::remove_reference_t<decltype(V{}[0])>;
  V pos_weight;
  Scalar alpha, beta;
  bool want_target;
};

template <class V>
INLINE V constant(double c) {
  return splat(static_cast<std::remove_reference_t<decltype(V{}[0])>>(c), V{});
}

template <class V>
INLINE V sign(V d) {
  return d > 0 ? constant<V>(1) : (d < 0 ? constant<V>(-1) : V{});
}

// |d|; the derivative at 0, and of NaN, is 0 as in torch.
struct L1 {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>&) {
    V d = x - y, slope = sign(d);
    return {abs(d), slope, -slope};
  }
};

struct Mse {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>&) {
    V d = x - y;
    return {d * d, d + d, -(d + d)};
  }
};

// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere.
struct SmoothL1 {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>& given) {
    V d = x - y, z = abs(d), beta = splat(given.beta, d), ratio = d / beta;
    V slope = d >= beta ? constant<V>(1) : (d <= -beta ? constant<V>(-1) : ratio);
    return {z < beta ? 0.5f * z * abs(ratio) : z - 0.5f * beta, slope, -slope};
  }
};

// d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere.
struct Huber {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>& given) {
    V d = x - y, z = abs(d), delta = splat(given.beta, d);
    V slope = d > delta ? delta : (d < -delta ? -delta : d);
    return {z <= delta ? 0.5f * z * z : delta * (z - 0.5f * delta), slope, -slope};
  }
};

// log(cosh(d)) = |d| - ln 2 + log1p(exp(-2|d|)), which cancels for small d: a polynomial serves |d| < 1.
// tanh(|d|) = -t / (2 + t) with t = expm1(-2|d|).
struct LogCosh {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>&) {
    V d = x - y, z = abs(d), t = STEP ? expm1(-2 * z) : V{}, e = STEP ? t + 1 : exp(-2 * z);
    V loss = z < 1 ? log_cosh_small(d * d) : (z - constant<V>(kLog2)) + log1p_tail(e);
    V slope = -t * reciprocal(t + 2);
    slope = d < 0 ? -slope : slope;
    return {loss, slope, -slope};
  }
};

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Whether every label is 0 or 1: nothing else equals its square but infinity, which gives NaN here.
template <class V>
INLINE bool hard(V y) {
  return all_zero(y - y * y);
}

// max(log(p), -100) for p in [0, 1], NaN outside.
template <class V>
INLINE V clamped_log(V p, V correction) {
  V log = at_least(log_positive(p, correction), constant<V>(-100));
  return p > 0 ? log : (p == 0 ? constant<V>(-100) : constant<V>(kNaN));
}

// -y log(p) - (1 - y) log(1 - p), logarithms clamped at -100; slopes with p (1 - p) clamped at 1e-12: torch's contract.
// NaN, which the caller looks into, where p or y lies outside [0, 1].
// u = 1 - p is rounded, and the rest c = (1 - u) - p enters log(u + c) as c / u, c (1 + p + p^2) to the last place.
// Where every label is hard, one logarithm does: of p or of 1 - p.
struct Bce {
  template <bool STEP, class V>
  static INLINE Point<V> at(V p, V y, const Given<V>& given) {
    V u = 1 - p, c = (1 - u) - p;
    if (!given.want_target && hard(y)) {
      auto positive = y == 1;
      V log = clamped_log(positive ? p : u, positive ? V{} : c * (1 + p * (1 + p)));
      return {(p >= 0) & (p <= 1) ? -log : constant<V>(kNaN), (p - y) / at_least(u * p, constant<V>(1e-12)), V{}};
    }
    V log_p = clamped_log(p, V{}), log_u = clamped_log(u, c * (1 + p * (1 + p)));
    V slope = (p - y) / at_least(u * p, constant<V>(1e-12));
    V loss = (y - 1) * log_u - y * log_p;
    return {(y >= 0) & (y <= 1) ? loss : constant<V>(kNaN), slope, log_u - log_p};
  }
};

// a * b where 0 times infinity is 0: the limit that these formulas mean.
template <class V>
INLINE V zero_wins(V weight, V value) {
  return weight == 0 ? V{} : weight * value;
}

// A logit x with its label y, turned so that the larger sigmoid, sigmoid(|x|), is the wrong one in the share
// `wrong` = 1 - y (x >= 0) or y (x < 0) of the label. Nothing is ever subtracted from one, so both tails keep their
// digits.
template <class V>
struct Logit {
  V size, e, log, wrong;  // |x|, exp(-|x|), log1p(exp(-|x|))
  V x;

  INLINE Logit(V x, V y) : x(x) {
    size = abs(x);
    e = exp(minus_abs(x));
    log = log1p_unit(e);
    wrong = x >= 0 ? 1 - y : y;
  }
  // Cross-entropy: max(x, 0) - x y + log1p(exp(-|x|)), free of inf - inf.
  INLINE V entropy() const { return wrong == 0 ? log : wrong * size + log; }
  INLINE V high() const { return reciprocal(e + 1); }
  // sigmoid(x) - y, from low = sigmoid(-|x|).
  INLINE V slope(V low) const { return with_sign(wrong - low); }
  // v with the sign of x.
  INLINE V with_sign(V v) const { return x >= 0 ? v : -v; }
};

struct BceLogits {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>&) {
    Logit<V> logit(x, y);
    if (!STEP) return {logit.entropy(), V{}, V{}};
    return {logit.entropy(), logit.slope(logit.e * logit.high()), -x};
  }
};

// (1 - y) softplus(x) + pos_weight y softplus(-x)
struct BceLogitsPositive {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>& given) {
    Logit<V> logit(x, y);
    V up = at_least(x, V{}) + logit.log, down = at_least(-x, V{}) + logit.log, weight = given.pos_weight * y;
    V high = logit.high(), low = logit.e * high, positive = x >= 0 ? high : low, negative = x >= 0 ? low : high;
    return {zero_wins(1 - y, up) + zero_wins(weight, down), (1 - y) * positive - weight * negative,
            given.pos_weight * down - up};
  }
};

// q^gamma in double: in float, gamma log(q) would lose the digits of a large product.
INLINE Double power(Double q, double gamma) {
  Double result = exp(at_most(gamma * log_positive(q, Double{}), splat(700.0, q)));
  return q > 0 ? result : (q == 0 ? splat(gamma == 0 ? 1.0 : 0.0, q) : q);
}
INLINE Float power(Float q, float gamma) {
  Float out;
  for (int part = 0; part < 2; part++) {
    Double half;
    for (int i = 0; i < Wide::kLanes; i++) half[i] = q[part * Wide::kLanes + i];
    half = power(half, (double)gamma);
    for (int i = 0; i < Wide::kLanes; i++) out[part * Wide::kLanes + i] = half[i];
  }
  return out;
}

// alpha_t q^gamma ce with q = 1 - p_t = p (1 - y) + (1 - p) y = high wrong + low right; for hard labels q is one of the
// two. With bend = gamma q^(gamma - 1): d/dx = alpha_t [q^gamma (p - y) + bend (1 - 2y) p (1 - p) ce] d/dy = (2 alpha -
// 1) q^gamma ce + alpha_t [bend (1 - 2p) ce - q^gamma x] Hard labels leave less: with the margin z = x or -x, q =
// sigmoid(-z), ce = softplus(-z), and d/dx = -+ alpha_t q^gamma [q + gamma (1 - q) ce].
template <bool SQUARE>
struct Focal {
  template <bool STEP, class V>
  static INLINE Point<V> at_hard(V x, V y, const Given<V>& given) {
    V size = abs(x), e = exp(minus_abs(x)), high = reciprocal(e + 1), low = e * high, tail = log1p_unit(e);
    auto positive = y == 1;
    auto wrong = (positive ? x : -x) < 0;
    V q = wrong ? high : low, entropy = wrong ? size + tail : tail, factor = SQUARE ? q * q : power(q, given.beta);
    V weight = factor * (given.alpha >= 0 ? (positive ? V{} + given.alpha : V{} + (1 - given.alpha)) : constant<V>(1));
    if (!STEP) return {weight * entropy, V{}, V{}};
    V slope = weight * (q + zero_wins(given.beta * (wrong ? low : high), entropy));
    return {weight * entropy, positive ? -slope : slope, V{}};
  }

  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>& given) {
    if (!given.want_target && hard(y)) return at_hard<STEP>(x, y, given);
    Logit<V> logit(x, y);
    V high = logit.high(), low = logit.e * high, right = x >= 0 ? y : 1 - y, q = high * (logit.wrong + logit.e * right);
    V entropy = logit.entropy(), factor = SQUARE ? q * q : power(q, given.beta);
    bool balanced = given.alpha >= 0;
    V alpha = balanced ? given.alpha * y + (1 - given.alpha) * (1 - y) : constant<V>(1);
    Point<V> out{alpha * factor * entropy, V{}, V{}};
    if (!STEP) return out;
    V bend = SQUARE ? 2 * q : (q == 0 ? V{} : given.beta * factor / q);
    out.d_input = alpha * (factor * logit.slope(low) + (1 - 2 * y) * zero_wins(bend * (high * low), entropy));
    if (given.want_target) {
      V slope = logit.with_sign(low - high) * zero_wins(bend, entropy) - x * factor;
      out.d_target = alpha * slope + (balanced ? (2 * given.alpha - 1) * factor * entropy : V{});
    }
    return out;
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
