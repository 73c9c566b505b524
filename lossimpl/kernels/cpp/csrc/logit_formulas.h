// The losses of a logit and its label: binary cross entropy with logits, and sigmoid focal loss.
#pragma once
#include "formulas.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// a * b with 0 times infinity = 0, the limit of the formulas below.
template <class V>
INLINE V product_or_zero(V weight, V value) {
  return weight == 0 ? V{} : weight * value;
}

// A logit x with its label y in terms of |x|: wrong_share = 1 - y (x >= 0) or y (x < 0) is the share of the label that
// contradicts the sign of x. Nothing is subtracted from one, so that both tails keep their digits.
template <class V>
struct Logit {
  V size, e, log, wrong_share;  // |x|, exp(-|x|), log1p(exp(-|x|))
  V x;

  INLINE Logit(V x, V y, V e) : e(e), x(x) {
    size = abs(x);
    log = log1p_unit(e);
    wrong_share = x >= 0 ? 1 - y : y;
  }
  // Cross entropy: max(x, 0) - x y + log1p(exp(-|x|)), without inf - inf.
  INLINE V entropy() const { return wrong_share == 0 ? log : wrong_share * size + log; }
  INLINE V high() const { return reciprocal(e + 1); }
  // sigmoid(x) - y, from low = sigmoid(-|x|).
  INLINE V slope(V low) const { return with_sign(wrong_share - low); }
  // v with the sign of x.
  INLINE V with_sign(V v) const { return x >= 0 ? v : -v; }
};

constexpr double kLargestRegularLogit = 87;  // below it, exp(-|x|) is a normal float

// The prologue of the formulas of a logit: exp(-|x|).
struct OfLogit {
  static constexpr bool kHeavy = true, kHasPrologue = true, kDividesByCount = false, kTabulated = false;
  template <bool STEP, InputClass CLASS, class V>
  static INLINE V prologue(V x, V) {
    return CLASS == InputClass::any ? exp(minus_abs(x)) : exp_plain(minus_abs(x));
  }
};

struct BceLogits : OfLogit {
  template <class Math, class V>
  static INLINE void observe(InputSummary<Math>& summary, V x, V y) {
    summary.add(x), summary.add(y);
  }
  template <class Math>
  static INLINE InputClass classify(const InputSummary<Math>& summary, bool) {
    return summary.all_below(kLargestRegularLogit) ? InputClass::regular : InputClass::any;
  }
  static INLINE InputClass best_class(bool) { return InputClass::regular; }

  // log1p(exp(-|x|)) and sigmoid(-|x|)
  template <class V>
  static INLINE Tabulated<V> tabulated_of_exp(V e) {
    return {log1p_unit(e), e * reciprocal(e + 1)};
  }
  template <class V>
  static INLINE Tabulated<V> tabulated(V x) {
    return tabulated_of_exp(exp_plain(minus_abs(x)));
  }
  static constexpr bool kTabulated = true, kKeyHasLabel = false;
  static constexpr InputClass kTabulatedClass = InputClass::regular;

  // ([x >= 0] - y) x + log1p(exp(-|x|))
  template <bool STEP, class V>
  static INLINE Point<V> from_tabulated(V x, V y, Tabulated<V> of_x, const FormulaParameters<V>&) {
    V rest = masked(~negative(as_int(x)), constant<V>(1)) - y;
    V loss = rest * x + of_x.first;
    if (!STEP) return {loss, V{}, V{}};
    return {loss, rest - flip_sign(as_int(x), of_x.second), -x};
  }

  template <bool STEP, InputClass CLASS, class V>
  static INLINE Point<V> at(V x, V y, V e, const FormulaParameters<V>& parameters) {
    if (CLASS == InputClass::regular) return from_tabulated<STEP>(x, y, tabulated_of_exp(e), parameters);
    Logit<V> logit(x, y, e);
    if (!STEP) return {logit.entropy(), V{}, V{}};
    return {logit.entropy(), logit.slope(logit.e * logit.high()), -x};
  }
};

// (1 - y) softplus(x) + pos_weight y softplus(-x)
struct BceLogitsPositive : SingleClass {
  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V, const FormulaParameters<V>& parameters) {
    Logit<V> logit(x, y, exp(minus_abs(x)));
    V up = at_least(x, V{}) + logit.log, down = at_least(-x, V{}) + logit.log, weight = parameters.pos_weight * y;
    V high = logit.high(), low = logit.e * high, positive = x >= 0 ? high : low, negative = x >= 0 ? low : high;
    return {product_or_zero(1 - y, up) + product_or_zero(weight, down), (1 - y) * positive - weight * negative,
            parameters.pos_weight * down - up};
  }
};

// q^gamma in double: in float, rounding of a large product gamma log(q) would lose digits.
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

// alpha_t q^gamma ce with q = 1 - p_t = p (1 - y) + (1 - p) y = high wrong + low right, bend = gamma q^(gamma - 1):
//   d/dx = alpha_t [q^gamma (p - y) + bend (1 - 2y) p (1 - p) ce]
//   d/dy = (2 alpha - 1) q^gamma ce + alpha_t [bend (1 - 2p) ce - q^gamma x]
// For hard labels, with the margin z = x (y = 1) or -x (y = 0): q = sigmoid(-z), ce = softplus(-z), and
//   d/dx = -+ alpha_t q^gamma [q + gamma (1 - q) ce]
template <bool SQUARE>
struct Focal : OfLogit {
  template <class Math, class V>
  static INLINE void observe(InputSummary<Math>& summary, V x, V y) {
    summary.add(x), summary.add_label(y);
  }
  template <class Math>
  static INLINE InputClass classify(const InputSummary<Math>& summary, bool want_target) {
    return summary.all_below(kLargestRegularLogit) && summary.labels_are_hard() ? best_class(want_target)
                                                                                : InputClass::any;
  }
  static INLINE InputClass best_class(bool want_target) {
    return want_target ? InputClass::any : InputClass::hard_labels;
  }

  template <class V>
  struct Margin {
    V q, p, entropy;  // sigmoid(-z), sigmoid(z), softplus(-z)
  };
  // From the sign mask of z >= 0, |z| and exp(-|z|).
  template <class M, class V>
  static INLINE Margin<V> margin(M right, V size, V e) {
    V high = reciprocal(e + 1), low = e * high;
    return {select(right, low, high), select(right, high, low), masked(~right, size) + log1p_unit(e)};
  }

  template <bool STEP, class V>
  static INLINE Point<V> at_hard(V x, V y, V e, const FormulaParameters<V>& parameters) {
    auto positive = label_is_one(y);
    auto [q, p, entropy] = margin(negative(as_int(x) ^ positive), abs(x), e);
    V weight = (SQUARE ? q * q : power(q, parameters.beta)) *
               select(positive, parameters.alpha_of_one, parameters.alpha_of_zero);
    V loss = weight * entropy;
    if (!STEP) return {loss, V{}, V{}};
    return {loss, flip_sign(positive, weight * (q + (SQUARE ? p + p : parameters.beta * p) * entropy)), V{}};
  }

  // For hard labels, as functions of the negated margin t = -z: q^2 ce and q^2 [q + 2 (1 - q) ce].
  template <class V>
  static INLINE Tabulated<V> tabulated(V t) {
    auto [q, p, entropy] = margin(negative(as_int(t)), abs(t), exp_plain(minus_abs(t)));
    V square = q * q;
    return {square * entropy, square * (q + (p + p) * entropy)};
  }
  static INLINE uint16_t key(uint16_t x, uint16_t y) {
    return x ^ (y << 2 & 0x8000);
  }  // t: x with its sign flipped if y, 0x3f80 in bf16, is 1
  static constexpr bool kTabulated = SQUARE, kKeyHasLabel = true;
  static constexpr InputClass kTabulatedClass = InputClass::hard_labels;

  template <bool STEP, class V>
  static INLINE Point<V> from_tabulated(V, V y, Tabulated<V> of_margin, const FormulaParameters<V>& parameters) {
    auto positive = label_is_one(y);
    V alpha = select(positive, parameters.alpha_of_one, parameters.alpha_of_zero);
    if (!STEP) return {alpha * of_margin.first, V{}, V{}};
    return {alpha * of_margin.first, flip_sign(positive, alpha * of_margin.second), V{}};
  }

  template <bool STEP, InputClass CLASS, class V>
  static INLINE Point<V> at(V x, V y, V e, const FormulaParameters<V>& parameters) {
    if (CLASS == InputClass::hard_labels) return at_hard<STEP>(x, y, e, parameters);
    Logit<V> logit(x, y, e);
    V high = logit.high(), low = logit.e * high, right = x >= 0 ? y : 1 - y,
      q = high * (logit.wrong_share + logit.e * right);
    V entropy = logit.entropy(), factor = SQUARE ? q * q : power(q, parameters.beta);
    bool balanced = parameters.alpha >= 0;
    V alpha = balanced ? parameters.alpha * y + (1 - parameters.alpha) * (1 - y) : constant<V>(1);
    Point<V> out{alpha * factor * entropy, V{}, V{}};
    if (!STEP) return out;
    V bend = SQUARE ? 2 * q : (q == 0 ? V{} : parameters.beta * factor / q);
    out.d_input = alpha * (factor * logit.slope(low) + (1 - 2 * y) * product_or_zero(bend * (high * low), entropy));
    if (parameters.want_target) {
      V slope = logit.with_sign(low - high) * product_or_zero(bend, entropy) - x * factor;
      out.d_target = alpha * slope + (balanced ? (2 * parameters.alpha - 1) * factor * entropy : V{});
    }
    return out;
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
