// The losses of two tensors at one element: value, and both derivatives.
#pragma once
#include "ease.h"
#include "logarithms.h"
#include "lookups.h"

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
  static constexpr bool kHeavy = true, kEarly = true, kDivides = false, kKnown = false;
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
  // Plain: so far inside of (0, 1) that nothing is clamped, 2e-12 at least; to a float near one half, that is nothing.
  template <class Math>
  static INLINE Ease ease(const Glance<Math>& glance, bool want_target) {
    if (!glance.below(0.5 - 2e-12) || !glance.shares()) return Ease::any;
    return glance.hard() ? easiest(want_target) : Ease::plain;
  }
  static INLINE Ease easiest(bool want_target) { return want_target ? Ease::plain : Ease::hard; }

  // torch divides its gradient by the number of elements, where the others multiply by the rounded inverse.
  static constexpr bool kHeavy = true, kEarly = false, kDivides = true, kKnown = true;
  template <bool STEP, Ease, class V>
  static INLINE V early(V, V) {
    return V{};
  }

  // log(p) and log(1 - p)
  template <class V>
  static INLINE Known<V> known(V p) {
    V u = 1 - p, c = (1 - u) - p;
    return {log_plain(p, V{}), log_plain(u, c * p + c)};
  }
  static constexpr bool kKeyed = false;
  static constexpr Ease kKnownEase = Ease::plain;

  template <bool STEP, class V>
  static INLINE Point<V> at_known(V p, V y, Known<V> log, const Given<V>&) {
    V loss = (y - 1) * log.second - y * log.first;
    return {loss, quotient(p - y, spread(p, 1 - p)), log.second - log.first};
  }

  template <bool STEP, Ease EASE, class V>
  static INLINE Point<V> at(V p, V y, V, const Given<V>& given) {
    if (EASE == Ease::plain) return at_known<STEP>(p, y, known(p), given);
    V u = 1 - p, c = (1 - u) - p, rest = c * p + c;
    if (EASE == Ease::hard) {  // one logarithm, of the label's own probability q; slope -+1 / q
      auto positive = is_one(y);
      V q = select(positive, p, u);
      return {-log_plain(q, select(positive, V{}, rest)), turn(positive, reciprocal(q)), V{}};
    }
    V log_p = clamped_log(p, V{}), log_u = clamped_log(u, rest);
    V loss = (y - 1) * log_u - y * log_p, divisor = at_least(spread(p, u), constant<V>(1e-12));
    return {(y >= 0) & (y <= 1) ? loss : constant<V>(kNaN), (p - y) / divisor, log_u - log_p};
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
