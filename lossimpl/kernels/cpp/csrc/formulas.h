// The losses of two tensors at one element: value, and both derivatives.
#pragma once
#include "ease.h"
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
  V alpha_of_one, alpha_of_zero;  // both one where focal is not balanced
  Scalar alpha, beta;
  bool want_target;
};

template <class V>
INLINE V sign(V d) {
  return d > 0 ? constant<V>(1) : (d < 0 ? constant<V>(-1) : V{});
}

// |d|; the derivative at 0, and of NaN, is 0 as in torch.
struct L1 : Uniform {
  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V, const Given<V>&) {
    V d = x - y, slope = sign(d);
    return {abs(d), slope, -slope};
  }
};

struct Mse : Uniform {
  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V, const Given<V>&) {
    V d = x - y;
    return {d * d, d + d, -(d + d)};
  }
};

// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere.
struct SmoothL1 : Uniform {
  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V, const Given<V>& given) {
    V d = x - y, z = abs(d), beta = splat(given.beta, d), ratio = d / beta;
    V slope = d >= beta ? constant<V>(1) : (d <= -beta ? constant<V>(-1) : ratio);
    return {z < beta ? 0.5f * z * abs(ratio) : z - 0.5f * beta, slope, -slope};
  }
};

// d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere.
struct Huber : Uniform {
  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V, const Given<V>& given) {
    V d = x - y, z = abs(d), delta = splat(given.beta, d);
    V slope = d > delta ? delta : (d < -delta ? -delta : d);
    return {z <= delta ? 0.5f * z * z : delta * (z - 0.5f * delta), slope, -slope};
  }
};

// log(cosh(d)) = |d| - ln 2 + log1p(exp(-2|d|)), which cancels for small d: a polynomial serves |d| < 1.
// tanh(|d|) = -t / (2 + t) with t = expm1(-2|d|).
struct LogCosh : Uniform {
  static constexpr bool kHeavy = true, kEarly = true;
  template <bool STEP, Ease, class V>
  static INLINE V early(V x, V y) {
    V d = x - y, twice = minus_abs(d + d);
    return STEP ? expm1(twice) : exp_plain(at_least(twice, constant<V>(-87)));
  }

  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V t, const Given<V>&) {
    V d = x - y, z = abs(d), e = STEP ? t + 1 : t;
    V loss = select(negative(as_int(z - 1)), log_cosh_small(d * d), (z - constant<V>(kLog2)) + log1p_tail(e));
    V slope = turn(~as_int(d), t * reciprocal(t + 2));
    return {loss, slope, -slope};
  }
};

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// max(log(p), -100) for p in [0, 1], NaN outside.
template <class V>
INLINE V clamped_log(V p, V correction) {
  V log = at_least(log_positive(p, correction), constant<V>(-100));
  return p > 0 ? log : (p == 0 ? constant<V>(-100) : constant<V>(kNaN));
}

// -y log(p) - (1 - y) log(1 - p), logarithms clamped at -100; slopes with p (1 - p) clamped at 1e-12: torch's contract.
// NaN, which the caller looks into, where p or y lies outside [0, 1].
// u = 1 - p is rounded, and the rest c = (1 - u) - p enters log(u + c) as c / u, c (1 + p) to the last place.
struct Bce {
  template <class Math, class V>
  static INLINE void look(Glance<Math>& glance, V p, V y) {
    glance.see(p - constant<V>(0.5)), glance.see_label(y);
  }
  // Plain: well inside of (0, 1), so that nothing is clamped.
  template <class Math>
  static INLINE Ease ease(const Glance<Math>& glance, bool want_target) {
    if (!glance.below(0.5) || !glance.shares()) return Ease::any;
    return glance.hard() ? easiest(want_target) : Ease::plain;
  }
  static INLINE Ease easiest(bool want_target) { return want_target ? Ease::plain : Ease::hard; }

  static constexpr bool kHeavy = true, kEarly = false;
  template <bool STEP, Ease, class V>
  static INLINE V early(V, V) {
    return V{};
  }

  template <bool STEP, Ease EASE, class V>
  static INLINE Point<V> at(V p, V y, V, const Given<V>&) {
    V u = 1 - p, c = (1 - u) - p, rest = c * p + c;
    if (EASE == Ease::hard) {  // one logarithm, of the label's own probability q; slope -+1 / q
      auto positive = is_one(y);
      V q = select(positive, p, u);
      return {-log_plain(q, select(positive, V{}, rest)), turn(positive, reciprocal(q)), V{}};
    }
    bool plain = EASE == Ease::plain;
    V log_p = plain ? log_plain(p, V{}) : clamped_log(p, V{});
    V log_u = plain ? log_plain(u, rest) : clamped_log(u, rest);
    V loss = (y - 1) * log_u - y * log_p, slope = log_u - log_p;
    if (plain) return {loss, quotient(p - y, u * p), slope};
    return {(y >= 0) & (y <= 1) ? loss : constant<V>(kNaN), (p - y) / at_least(u * p, constant<V>(1e-12)), slope};
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

  INLINE Logit(V x, V y, V e) : e(e), x(x) {
    size = abs(x);
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

constexpr double kModerate = 87;  // below, exp(-|x|) is a normal float

// What every formula of a logit begins with: exp(-|x|).
struct OfLogit {
  static constexpr bool kHeavy = true, kEarly = true;
  template <bool STEP, Ease EASE, class V>
  static INLINE V early(V x, V) {
    return EASE == Ease::any ? exp(minus_abs(x)) : exp_plain(minus_abs(x));
  }
};

struct BceLogits : OfLogit {
  template <class Math, class V>
  static INLINE void look(Glance<Math>& glance, V x, V y) {
    glance.see(x), glance.see(y);
  }
  template <class Math>
  static INLINE Ease ease(const Glance<Math>& glance, bool) {
    return glance.below(kModerate) ? Ease::plain : Ease::any;
  }
  static INLINE Ease easiest(bool) { return Ease::plain; }

  // ([x >= 0] - y) x + log1p(exp(-|x|))
  template <bool STEP, class V>
  static INLINE Point<V> at_plain(V x, V y, V e) {
    V rest = where(~negative(as_int(x)), constant<V>(1)) - y;
    V loss = rest * x + log1p_unit(e);
    if (!STEP) return {loss, V{}, V{}};
    return {loss, rest - turn(as_int(x), e * reciprocal(e + 1)), -x};
  }

  template <bool STEP, Ease EASE, class V>
  static INLINE Point<V> at(V x, V y, V e, const Given<V>&) {
    if (EASE == Ease::plain) return at_plain<STEP>(x, y, e);
    Logit<V> logit(x, y, e);
    if (!STEP) return {logit.entropy(), V{}, V{}};
    return {logit.entropy(), logit.slope(logit.e * logit.high()), -x};
  }
};

// (1 - y) softplus(x) + pos_weight y softplus(-x)
struct BceLogitsPositive : Uniform {
  template <bool STEP, Ease, class V>
  static INLINE Point<V> at(V x, V y, V, const Given<V>& given) {
    Logit<V> logit(x, y, exp(minus_abs(x)));
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
struct Focal : OfLogit {
  template <class Math, class V>
  static INLINE void look(Glance<Math>& glance, V x, V y) {
    glance.see(x), glance.see_label(y);
  }
  template <class Math>
  static INLINE Ease ease(const Glance<Math>& glance, bool want_target) {
    return glance.below(kModerate) && glance.hard() ? easiest(want_target) : Ease::any;
  }
  static INLINE Ease easiest(bool want_target) { return want_target ? Ease::any : Ease::hard; }

  template <bool STEP, class V>
  static INLINE Point<V> at_hard(V x, V y, V e, const Given<V>& given) {
    V high = reciprocal(e + 1), low = e * high;
    auto positive = is_one(y), right = negative(as_int(x) ^ positive);  // z >= 0
    V q = select(right, low, high), p = select(right, high, low), entropy = where(~right, abs(x)) + log1p_unit(e);
    V weight = (SQUARE ? q * q : power(q, given.beta)) * select(positive, given.alpha_of_one, given.alpha_of_zero);
    V loss = weight * entropy;
    if (!STEP) return {loss, V{}, V{}};
    return {loss, turn(positive, weight * (q + (SQUARE ? p + p : given.beta * p) * entropy)), V{}};
  }

  template <bool STEP, Ease EASE, class V>
  static INLINE Point<V> at(V x, V y, V e, const Given<V>& given) {
    if (EASE == Ease::hard) return at_hard<STEP>(x, y, e, given);
    Logit<V> logit(x, y, e);
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
