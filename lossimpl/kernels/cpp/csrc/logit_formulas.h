// The losses of a logit and its label: binary cross-entropy with logits, and sigmoid focal.
#pragma once
#include "formulas.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

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
  static constexpr bool kHeavy = true, kEarly = true, kDivides = false, kKnown = false;
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

  // log1p(exp(-|x|)) and sigmoid(-|x|)
  template <class V>
  static INLINE Known<V> known_by(V e) {
    return {log1p_unit(e), e * reciprocal(e + 1)};
  }
  template <class V>
  static INLINE Known<V> known(V x) {
    return known_by(exp_plain(minus_abs(x)));
  }
  static constexpr bool kKnown = true, kKeyed = false;
  static constexpr Ease kKnownEase = Ease::plain;

  // ([x >= 0] - y) x + log1p(exp(-|x|))
  template <bool STEP, class V>
  static INLINE Point<V> at_known(V x, V y, Known<V> of_x, const Given<V>&) {
    V rest = where(~negative(as_int(x)), constant<V>(1)) - y;
    V loss = rest * x + of_x.first;
    if (!STEP) return {loss, V{}, V{}};
    return {loss, rest - turn(as_int(x), of_x.second), -x};
  }

  template <bool STEP, Ease EASE, class V>
  static INLINE Point<V> at(V x, V y, V e, const Given<V>& given) {
    if (EASE == Ease::plain) return at_known<STEP>(x, y, known_by(e), given);
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

  template <class V>
  struct Margin {
    V q, p, entropy;  // sigmoid(-z), sigmoid(z), softplus(-z)
  };
  // By whether z >= 0, by |z|, and by exp(-|z|).
  template <class M, class V>
  static INLINE Margin<V> margin(M right, V size, V e) {
    V high = reciprocal(e + 1), low = e * high;
    return {select(right, low, high), select(right, high, low), where(~right, size) + log1p_unit(e)};
  }

  template <bool STEP, class V>
  static INLINE Point<V> at_hard(V x, V y, V e, const Given<V>& given) {
    auto positive = is_one(y);
    auto [q, p, entropy] = margin(negative(as_int(x) ^ positive), abs(x), e);
    V weight = (SQUARE ? q * q : power(q, given.beta)) * select(positive, given.alpha_of_one, given.alpha_of_zero);
    V loss = weight * entropy;
    if (!STEP) return {loss, V{}, V{}};
    return {loss, turn(positive, weight * (q + (SQUARE ? p + p : given.beta * p) * entropy)), V{}};
  }

  // For hard labels, of the margin turned, t = -z: q^2 ce and q^2 [q + 2 (1 - q) ce].
  template <class V>
  static INLINE Known<V> known(V t) {
    auto [q, p, entropy] = margin(negative(as_int(t)), abs(t), exp_plain(minus_abs(t)));
    V square = q * q;
    return {square * entropy, square * (q + (p + p) * entropy)};
  }
  static INLINE uint16_t key(uint16_t x, uint16_t y) { return x ^ (y << 2 & 0x8000); }  // one, as bf16, is 0x3f80
  static constexpr bool kKnown = SQUARE, kKeyed = true;
  static constexpr Ease kKnownEase = Ease::hard;

  template <bool STEP, class V>
  static INLINE Point<V> at_known(V, V y, Known<V> of_margin, const Given<V>& given) {
    auto positive = is_one(y);
    V alpha = select(positive, given.alpha_of_one, given.alpha_of_zero);
    if (!STEP) return {alpha * of_margin.first, V{}, V{}};
    return {alpha * of_margin.first, turn(positive, alpha * of_margin.second), V{}};
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
