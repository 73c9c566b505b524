// The elementwise losses at one element: value and both derivatives.
#pragma once
#include "input_class.h"
#include "logarithms.h"
#include "bf16_table.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

template <class V>
struct Point {
  V loss, d_input, d_target;
};

// The parameters of a formula besides input and target.
template <class V>
struct FormulaParameters {
  using Scalar = std::remove_reference_t<decltype(V{}[0])>;
  V pos_weight;
  V alpha_of_one, alpha_of_zero;  // the focal loss's factors for labels 1 and 0; both 1 without balancing
  Scalar alpha, beta;
  bool want_target;
};

template <class V>
INLINE V sign(V d) {
  return d > 0 ? constant<V>(1) : (d < 0 ? constant<V>(-1) : V{});
}

// |d|; the derivative at 0 and at NaN is 0, as in torch.
struct L1 : SingleClass {
  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V, const FormulaParameters<V>&) {
    V d = x - y, slope = sign(d);
    return {abs(d), slope, -slope};
  }
};

struct Mse : SingleClass {
  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V, const FormulaParameters<V>&) {
    V d = x - y;
    return {d * d, d + d, -(d + d)};
  }
};

// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere.
struct SmoothL1 : SingleClass {
  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V, const FormulaParameters<V>& parameters) {
    V d = x - y, z = abs(d), beta = splat(parameters.beta, d), ratio = d / beta;
    V slope = d >= beta ? constant<V>(1) : (d <= -beta ? constant<V>(-1) : ratio);
    return {z < beta ? 0.5f * z * abs(ratio) : z - 0.5f * beta, slope, -slope};
  }
};

// d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere.
struct Huber : SingleClass {
  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V, const FormulaParameters<V>& parameters) {
    V d = x - y, z = abs(d), delta = splat(parameters.beta, d);
    V slope = d > delta ? delta : (d < -delta ? -delta : d);
    return {z <= delta ? 0.5f * z * z : delta * (z - 0.5f * delta), slope, -slope};
  }
};

// log(cosh(d)) = |d| - ln 2 + log1p(exp(-2|d|)), which cancels for small d: a polynomial is used for |d| < 1.
// tanh(|d|) = -t / (2 + t) with t = expm1(-2|d|).
struct LogCosh : SingleClass {
  static constexpr bool kHeavy = true, kHasPrologue = true, kDividesByCount = false, kTabulated = false;
  template <bool STEP, InputClass, class V>
  static INLINE V prologue(V x, V y) {
    V d = x - y, twice = minus_abs(d + d);
    return STEP ? expm1(twice) : exp_plain(at_least(twice, constant<V>(-87)));
  }

  template <bool STEP, InputClass, class V>
  static INLINE Point<V> at(V x, V y, V t, const FormulaParameters<V>&) {
    V d = x - y, z = abs(d), e = STEP ? t + 1 : t;
    V loss = select(negative(as_int(z - 1)), log_cosh_small(d * d), (z - constant<V>(kLog2)) + log1p_tail(e));
    V slope = flip_sign(~as_int(d), t * reciprocal(t + 2));
    return {loss, slope, -slope};
  }
};

// max(log(p), -100) for p in [0, 1], NaN outside.
template <class V>
INLINE V clamped_log(V p, V correction) {
  V log = at_least(log_positive(p, correction), constant<V>(-100));
  return p > 0 ? log : (p == 0 ? constant<V>(-100) : constant<V>(kNaN));
}

// -y log(p) - (1 - y) log(1 - p), with logarithms clamped at -100 and p (1 - p) in the slopes clamped at 1e-12, as in
// torch. NaN if p or y is outside [0, 1], which the caller then reports.
// u = 1 - p is rounded; its rounding error c = (1 - u) - p enters log(u + c) as c / u, which is c (1 + p) to the last
// place.
struct Bce {
  template <class Math, class V>
  static INLINE void observe(InputSummary<Math>& summary, V p, V y) {
    summary.add(p - constant<V>(0.5)), summary.add_label(y);
  }
  // Regular: at least 2e-12 inside (0, 1), so that nothing is clamped. In float, 0.5 - 2e-12 is 0.5.
  template <class Math>
  static INLINE InputClass classify(const InputSummary<Math>& summary, bool want_target) {
    if (!summary.all_below(0.5 - 2e-12) || !summary.labels_are_shares()) return InputClass::any;
    return summary.labels_are_hard() ? best_class(want_target) : InputClass::regular;
  }
  static INLINE InputClass best_class(bool want_target) {
    return want_target ? InputClass::regular : InputClass::hard_labels;
  }

  // torch divides this gradient by the number of elements; those of other losses it multiplies by the rounded
  // reciprocal.
  static constexpr bool kHeavy = true, kHasPrologue = false, kDividesByCount = true, kTabulated = true;
  template <bool STEP, InputClass, class V>
  static INLINE V prologue(V, V) {
    return V{};
  }

  // log(p) and log(1 - p)
  template <class V>
  static INLINE Tabulated<V> tabulated(V p) {
    V u = 1 - p, c = (1 - u) - p;
    return {log_plain(p, V{}), log_plain(u, c * p + c)};
  }
  static constexpr bool kKeyHasLabel = false;
  static constexpr InputClass kTabulatedClass = InputClass::regular;

  template <bool STEP, class V>
  static INLINE Point<V> from_tabulated(V p, V y, Tabulated<V> log, const FormulaParameters<V>&) {
    V loss = (y - 1) * log.second - y * log.first;
    return {loss, quotient(p - y, bernoulli_variance(p, 1 - p)), log.second - log.first};
  }

  template <bool STEP, InputClass CLASS, class V>
  static INLINE Point<V> at(V p, V y, V, const FormulaParameters<V>& parameters) {
    if (CLASS == InputClass::regular) return from_tabulated<STEP>(p, y, tabulated(p), parameters);
    V u = 1 - p, c = (1 - u) - p, rest = c * p + c;
    if (CLASS == InputClass::hard_labels) {  // one logarithm, of the label's probability q; slope -+1 / q
      auto positive = label_is_one(y);
      V q = select(positive, p, u);
      return {-log_plain(q, select(positive, V{}, rest)), flip_sign(positive, reciprocal(q)), V{}};
    }
    V log_p = clamped_log(p, V{}), log_u = clamped_log(u, rest);
    V loss = (y - 1) * log_u - y * log_p, divisor = at_least(bernoulli_variance(p, u), constant<V>(1e-12));
    return {(y >= 0) & (y <= 1) ? loss : constant<V>(kNaN), (p - y) / divisor, log_u - log_p};
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
