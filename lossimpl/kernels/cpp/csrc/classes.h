// Losses over the classes of a row: cross entropy with class indices or probabilities, and softmax focal loss.
#pragma once
#include "row_sum.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// The loss of a row and its gradient: scale * (softmax_coefficient p_c - class_coefficient w_c) for every class except
// the target, whose gradient is scale * target_gradient.
struct RowResult {
  double loss, softmax_coefficient, class_coefficient, target_gradient;
};

template <class S>
struct Classes {
  using E = typename S::Element;
  using Math = typename S::Math;
  using V = typename S::V;
  using Scalar = typename Math::Scalar;
  static constexpr int kLanes = S::kLanes;
  static constexpr bool kNarrow = sizeof(E) == 2;

  const ClassesArguments& a;
  const Scalar* weight;
  Terms<Scalar> terms;

  explicit Classes(const ClassesArguments& a)
      : a(a), weight((const Scalar*)a.weight), terms(a.classes, stores_terms(a)) {}

  // Where wide gradients are streamed to memory, bandwidth is the limit and recomputing the terms is free.
  static bool stores_terms(const ClassesArguments& a) { return a.grad_input && (kNarrow || !a.stream); }

  double weight_of(int64_t c) const { return weight ? (double)weight[c] : 1.0; }
  double upstream_of(int64_t row) const { return a.scale * (a.upstream ? a.upstream[row] : 1.0); }

  // The sum over classes of factor_c (x_c - reference) with factor_c = weight_c probability_c, where 0 times infinity
  // is 0; and the sum of the factors. The rounding error of the reference is corrected at the end.
  void weighted_row(const E* x, const E* probability, double reference, double& products, double& factors) const {
    Total total, mass;
    V at = splat((Scalar)reference, V{});
    for (int64_t i = 0; i < a.classes; i += kLanes) {
      int n = (int)std::min<int64_t>(kLanes, a.classes - i);
      V factor = factor_at(probability, i, n);
      factor = iota<Math>() < n ? factor : V{};
      V product = factor * (S::load(x + i, n) - at);
      total.add(factor == 0 ? V{} : product);
      mass.add(factor);
    }
    factors = mass.total(), products = total.total() + ((double)at[0] - reference) * factors;
  }

  // weight_c, times the smoothed probability if there is one.
  INLINE V factor_at(const E* probability, int64_t i, int n) const {
    V factor = splat((Scalar)1, V{});
    if (weight) factor = load_weight(i, n);
    if (!probability) return factor;
    V p = S::load(probability + i, n);
    if (a.smoothing > 0) p = p * (Scalar)(1 - a.smoothing) + (Scalar)(a.smoothing / a.classes);
    return factor * p;
  }

  INLINE V load_weight(int64_t i, int n) const {
    using Plain = typename Terms<Scalar>::Plain;
    return n == kLanes ? Plain::load(weight + i) : Plain::load(weight + i, n);
  }

  // With smoothing s: (1 - s) w_t (-log p_t) + s / C sum_c w_c (-log p_c)
  RowResult cross_entropy(const E* x, int64_t target, const RowSum& sum) const {
    double w = weight_of(target), hard = (1 - a.smoothing) * w, total = sum.all();
    double loss = a.smoothing == 1 ? 0 : hard * sum.surprisal();  // also if the surprisal is infinite
    RowResult out{loss, hard, 0, -hard * sum.others / total};
    if (a.smoothing == 0) return out;
    double products, factors, share = a.smoothing / a.classes;
    weighted_row(x, nullptr, sum.reference, products, factors);
    out.loss += share * (a.weight_sum * std::log(total) - products);
    out.softmax_coefficient += share * a.weight_sum;
    out.class_coefficient = share;
    out.target_gradient += share * (a.weight_sum * sum.target / total - w);
    return out;
  }

  // alpha q^gamma (-log p) with q = 1 - p; d/dx_c = alpha [q^gamma + gamma q^(gamma-1) p (-log p)] (p_c - [c = t])
  RowResult focal(int64_t target, const RowSum& sum) const {
    double alpha = weight ? (double)weight[target] : a.alpha, surprisal = sum.surprisal();
    double p = sum.target / sum.all(), q = sum.others / sum.all(), factor = a.gamma == 0 ? 1 : std::pow(q, a.gamma);
    double bend = a.gamma == 0 || q == 0 || p == 0 ? 0 : a.gamma * (factor / q) * p * surprisal;
    double coefficient = alpha * (factor + bend);
    return {alpha * factor * surprisal, coefficient, 0, -coefficient * q};
  }

  void zero_row(E* g) const { std::memset(g, 0, a.classes * sizeof(E)); }

  // Calls f(i, n, v) over the row, which is written at g, with v = factor * softmax of the n elements from i.
  template <class F>
  void for_each_probability(const E* x, const E* g, const RowSum& sum, double factor, F f) const {
    for (int64_t begin = 0, end; begin < a.classes; begin = end) {
      end = terms.end_of_reference(begin, a.classes);
      double reference = terms.reference_of(begin, sum.reference);
      double moved = reference == sum.reference ? 1 : std::exp(reference - sum.reference);
      V scale = splat((Scalar)(factor / sum.all() * moved), V{});
      if (terms.stored)
        aligned_walk<S>(g + begin, end - begin,
                        [&](int64_t i, int n, bool) INLINE_LAMBDA { f(begin + i, n, terms.load(begin + i) * scale); });
      else
        for_each_term(x, g, begin, end, reference, [&](int64_t i, int n, V e) INLINE_LAMBDA { f(i, n, e * scale); });
    }
  }

  // Calls f(i, n, e) with e = exp(x - reference) of the n elements from i, recomputed.
  template <class F>
  INLINE void for_each_term(const E* x, const E* g, int64_t begin, int64_t end, double reference, F f) const {
    Anchor<S> anchor(reference);
    aligned_walk<S>(g + begin, end - begin, [&](int64_t i, int n, bool whole) INLINE_LAMBDA {
      V v[1] = {whole ? S::load(x + begin + i) : S::load(x + begin + i, n)}, e[1];
      anchor.terms(v, e);
      f(begin + i, n, e[0]);
    });
  }

  void write_label_gradient(const E* x, E* g, int64_t target, const RowSum& sum, const RowResult& row,
                            double scale) const {
    V offset = splat((Scalar)(scale * row.class_coefficient), V{});
    double factor = scale * row.softmax_coefficient;
    Scalar own = (Scalar)(scale * row.target_gradient);
    with_flag(row.class_coefficient != 0, [&](auto smooth) {
      with_flag(a.stream, [&](auto stream) {
        for_each_probability(x, g, sum, factor, [&](int64_t i, int n, V v) INLINE_LAMBDA {
          if (smooth) v = v - (weight ? offset * load_weight(i, n) : offset);
          // A later store to a streamed line would load it back into the cache.
          if (stream && target >= i && target < i + n) v[target - i] = own;
          if (stream && kNarrow) __builtin_prefetch(x + a.classes + i, 0, 2);  // the next row
          put<Inexact<S>>(g + i, v, n, stream);
        });
      });
    });
    if (!a.stream) S::store(g + target, splat(own, V{}), 1);
  }

  void label_row(int64_t row) {
    const E* x = (const E*)a.input + row * a.classes;
    E* g = a.grad_input ? (E*)a.grad_input + row * a.classes : nullptr;
    int64_t target = a.labels[row];
    if (target == a.ignore_index) {
      if (a.losses) a.losses[row] = 0;
      if (g) zero_row(g);
      return;
    }
    RowSum sum = sum_row<S>(x, a.classes, target, terms);
    RowResult result = a.focal ? focal(target, sum) : cross_entropy(x, target, sum);
    if (a.losses) a.losses[row] = result.loss;
    if (g) write_label_gradient(x, g, target, sum, result, upstream_of(row));
  }

  // With f_c = w_c p_c, F their sum, and S = sum_c exp(x_c - reference): sum_c f_c (log S - (x_c - reference));
  // d/dx_c = F softmax_c - f_c; d/dp_c = w_c (log S - (x_c - reference))
  void probability_row(int64_t row) {
    int64_t start = row * a.classes;
    const E *x = (const E*)a.input + start, *probability = (const E*)a.probabilities + start;
    E* g = a.grad_input ? (E*)a.grad_input + start : nullptr;
    RowSum sum = sum_row<S>(x, a.classes, -1, terms);
    double products, factors, log_sum = std::log(sum.others), scale = upstream_of(row);
    weighted_row(x, probability, sum.reference, products, factors);
    if (a.losses) a.losses[row] = factors * log_sum - products;
    V at = splat((Scalar)sum.reference, V{}), shift = splat((Scalar)(log_sum + sum.reference - at[0]), V{});
    V unit = splat((Scalar)scale, V{});
    if (g) {
      for_each_probability(x, g, sum, scale * factors, [&](int64_t i, int n, V v) INLINE_LAMBDA {
        put<Inexact<S>>(g + i, v - unit * factor_at(probability, i, n), n, a.stream);
      });
    }
    if (a.grad_target) {
      V mix = splat((Scalar)(scale * (1 - a.smoothing)), V{});
      auto one = [&](int64_t i, int n, bool whole) INLINE_LAMBDA {
        V v = whole ? S::load(x + i) : S::load(x + i, n);
        V slope = mix * factor_at(nullptr, i, n) * (shift - (v - at));
        put<Inexact<S>>((E*)a.grad_target + start + i, slope, n, a.stream);
      };
      aligned_walk<S>((E*)a.grad_target + start, a.classes, one);
    }
  }

  void run(int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) a.labels ? label_row(row) : probability_row(row);
    if (a.stream) fence_stream();
  }
};

void classes(const ClassesArguments& a, int64_t begin, int64_t end) {
  with_storage(a.dtype, [&](auto storage) { Classes<decltype(storage)>(a).run(begin, end); });
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
