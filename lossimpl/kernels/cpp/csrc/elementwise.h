// Losses of two tensors: value and both derivatives of one element, then one loop that serves them all.
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
INLINE V constant(double c) { return splat(static_cast<std::remove_reference_t<decltype(V{}[0])>>(c), V{}); }

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
    V slope = -t / (t + 2);
    slope = d < 0 ? -slope : slope;
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
// u = 1 - p is rounded, and the rest c = (1 - u) - p enters log(u + c) as c / u, c (1 + p + p^2) to the last place.
// Where every label is hard, one logarithm does: of p or of 1 - p.
struct Bce {
  template <bool STEP, class V>
  static INLINE Point<V> at(V p, V y, const Given<V>& given) {
    V u = 1 - p, c = (1 - u) - p;
    auto positive = y == 1;
    if (!given.want_target && all(positive | (y == 0))) {
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
INLINE V zero_wins(V weight, V value) { return weight == 0 ? V{} : weight * value; }

// A logit x with its label y, turned so that the larger sigmoid, sigmoid(|x|), is the wrong one in the share
// `wrong` = 1 - y (x >= 0) or y (x < 0) of the label. Nothing is ever subtracted from one, so both tails keep their digits.
template <class V>
struct Logit {
  V size, e, log, wrong;  // |x|, exp(-|x|), log1p(exp(-|x|))
  V x;

  INLINE Logit(V x, V y) : x(x) {
    size = abs(x);
    e = exp(-size);
    log = log1p_unit(e);
    wrong = x >= 0 ? 1 - y : y;
  }
  // Cross-entropy: max(x, 0) - x y + log1p(exp(-|x|)), free of inf - inf.
  INLINE V entropy() const { return zero_wins(wrong, size) + log; }
  INLINE V high() const { return 1 / (e + 1); }
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

// alpha_t q^gamma ce with q = 1 - p_t = p (1 - y) + (1 - p) y = high wrong + low right; for hard labels q is one of the two.
// With bend = gamma q^(gamma - 1):
// d/dx = alpha_t [q^gamma (p - y) + bend (1 - 2y) p (1 - p) ce]
// d/dy = (2 alpha - 1) q^gamma ce + alpha_t [bend (1 - 2p) ce - q^gamma x]
template <bool SQUARE>
struct Focal {
  template <bool STEP, class V>
  static INLINE Point<V> at(V x, V y, const Given<V>& given) {
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

// The elements begin..end of one call, in memory type S.
template <class S, class Formula, bool STEP>
struct Elementwise {
  using E = typename S::Element;
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr int kLanes = S::kLanes;

  const ElementwiseArguments& a;
  const E *input, *target, *weight, *pos_weight, *upstream;
  E *loss_out, *grad_input, *grad_target;
  Scalar scale;
  Given<V> given;

  explicit INLINE Elementwise(const ElementwiseArguments& a)
      : a(a), input((const E*)a.input), target((const E*)a.target), weight((const E*)a.weight),
        pos_weight((const E*)a.pos_weight), upstream((const E*)a.upstream), loss_out((E*)a.loss_out),
        grad_input((E*)a.grad_input), grad_target((E*)a.grad_target), scale((Scalar)a.scale),
        given{V{}, (Scalar)a.alpha, (Scalar)a.beta, a.grad_target != nullptr} {}

  template <class... N>
  static INLINE V load(const E* p, N... n) { return S::load(p, n...); }

  INLINE void put(E* p, V v, bool stream) { stream ? S::stream(p, v) : S::store(p, v); }
  INLINE void put(E* p, V v, bool, int n) { S::store(p, v, n); }

  // One vector at i (its first n lanes, where n is given); w and pw point at this element's weights.
  template <class... N>
  INLINE V step(int64_t i, const E* w, const E* pw, bool stream, N... n) {
    if (pw) given.pos_weight = load(pw, n...);
    auto point = Formula::template at<STEP>(load(input + i, n...), load(target + i, n...), given);
    V factor = constant<V>(1);
    if (w) {
      factor = load(w, n...);
      point.loss *= factor;
    }
    if (loss_out) put(loss_out + i, point.loss, stream, n...);
    if (STEP) {
      factor = factor * scale;
      if (upstream) factor = factor * load(upstream + i, n...);
      if (grad_input) put(grad_input + i, point.d_input * factor, stream, n...);
      if (grad_target) put(grad_target + i, point.d_target * factor, stream, n...);
    }
    return point.loss;
  }

  // A stretch over which the weights do not wrap. Up to four vectors are added as floats before they enter the double sum.
  INLINE double stretch(int64_t i, int64_t end, const E* w, const E* pw) {
    Total total;
    bool stream = a.stream && aligned<S>(grad_input + i) && aligned<S>(grad_target + i) && aligned<S>(loss_out + i);
    auto advance = [&](int n) { i += n, w += w ? n : 0, pw += pw ? n : 0; };
    while (i + kLanes <= end) {
      V group{};
      int64_t stop = std::min(end, i + 4 * kLanes);
      for (; i + kLanes <= stop; advance(kLanes)) group += step(i, w, pw, stream);
      total.add(group);
    }
    int rest = static_cast<int>(end - i);
    if (rest) {
      V last = step(i, w, pw, false, rest);
      total.add(iota<typename S::Math>() < rest ? last : V{});
    }
    return total.total();
  }

  INLINE double run(int64_t begin, int64_t end) {
    double sum = 0;
    while (begin < end) {
      int64_t stop = end, w = 0, pw = 0;
      if (weight) w = begin % a.weight_period, stop = std::min(stop, begin + a.weight_period - w);
      if (pos_weight) pw = begin % a.pos_weight_period, stop = std::min(stop, begin + a.pos_weight_period - pw);
      sum += stretch(begin, stop, weight ? weight + w : nullptr, pos_weight ? pos_weight + pw : nullptr);
      begin = stop;
    }
    if (a.stream) fence_stream();
    return sum;
  }
};

template <class Formula>
double run_formula(const ElementwiseArguments& a, int64_t begin, int64_t end) {
  return with_storage(a.dtype, [&](auto storage) {
    using S = decltype(storage);
    if (a.grad_input || a.grad_target) return Elementwise<S, Formula, true>(a).run(begin, end);
    return Elementwise<S, Formula, false>(a).run(begin, end);
  });
}

double elementwise(const ElementwiseArguments& a, int64_t begin, int64_t end) {
  switch (a.loss) {
    case Pair::l1: return run_formula<L1>(a, begin, end);
    case Pair::mse: return run_formula<Mse>(a, begin, end);
    case Pair::smooth_l1: return run_formula<SmoothL1>(a, begin, end);
    case Pair::huber: return run_formula<Huber>(a, begin, end);
    case Pair::log_cosh: return run_formula<LogCosh>(a, begin, end);
    case Pair::bce: return run_formula<Bce>(a, begin, end);
    case Pair::focal: return a.beta == 2 ? run_formula<Focal<true>>(a, begin, end) : run_formula<Focal<false>>(a, begin, end);
    default: return a.pos_weight ? run_formula<BceLogitsPositive>(a, begin, end) : run_formula<BceLogits>(a, begin, end);
  }
}

// The sum of values[begin, end): the divisor of a weighted mean.
double sum(Dtype dtype, const void* values, int64_t begin, int64_t end) {
  return with_storage(dtype, [&](auto storage) {
    using S = decltype(storage);
    auto* v = (const typename S::Element*)values;
    Total total;
    for (; begin + S::kLanes <= end; begin += S::kLanes) total.add(S::load(v + begin));
    if (begin < end) total.add(S::load(v + begin, static_cast<int>(end - begin)));
    return total.total();
  });
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
