// Losses over the classes of a row: cross-entropy with class or probability targets, and softmax focal.
//
// A row is read once from memory: a reference value near the row's maximum is carried along, block by block, and moved
// only where a block exceeds it by more than kSlack, so that exp(x - reference) neither overflows nor loses digits.
#pragma once
#include "math.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kSlack = 8;
constexpr int64_t kBlock = 2048;
constexpr int64_t kGlance = 64;  // classes whose maximum is a row's first reference

// The sum of exp(x - reference) over a row, the target's own term apart: 1 - p_t = others / (others + own), exactly.
struct RowSum {
  double reference, others, own, own_shift;
  double all() const { return others + own; }
  // -log p_t
  double surprise() const { return others < own ? std::log1p(others / own) : std::log(all()) - own_shift; }
};

// What a row's loss is, and its gradient: scale * (softmax_coefficient p_c - class_coefficient w_c) for every class but
// the target, whose gradient is own_gradient.
struct RowResult {
  double loss, softmax_coefficient, class_coefficient, own_gradient;
};

template <class S>
struct Classes {
  using E = typename S::Element;
  using Math = typename S::Math;
  using V = typename S::V;
  using Scalar = typename Math::Scalar;
  static constexpr int kLanes = S::kLanes;

  const ClassesArguments& a;
  const Scalar* weight;

  explicit Classes(const ClassesArguments& a) : a(a), weight((const Scalar*)a.weight) {}

  static INLINE V lowest() { return splat((Scalar)-kInfinity, V{}); }
  static double value(const E* p) { return S::load(p, 1)[0]; }
  double weight_of(int64_t c) const { return weight ? (double)weight[c] : 1.0; }
  double upstream_of(int64_t row) const { return a.scale * (a.upstream ? a.upstream[row] : 1.0); }

  static double block_max(const E* x, int64_t n) {
    V best = lowest();
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) best = max(best, S::load(x + i));
    if (i < n) best = max(best, iota<Math>() < (int)(n - i) ? S::load(x + i, n - i) : lowest());
    return horizontal_max(best);
  }

  // Adds exp(x - reference) over x[begin, end) to the total and folds x into `best`.
  static INLINE void add_span(const E* x, int64_t begin, int64_t end, V reference, Total& total, V& best) {
    while (begin + kLanes <= end) {
      V group{};
      int64_t stop = std::min(end, begin + 4 * kLanes);
      for (; begin + kLanes <= stop; begin += kLanes) {
        V v = S::load(x + begin);
        best = max(best, v);
        group += exp(v - reference);
      }
      total.add(group);
    }
    if (begin == end) return;
    V v = S::load(x + begin, end - begin), shifted = exp(v - reference);
    auto inside = iota<Math>() < (int)(end - begin);
    best = max(best, inside ? v : lowest());
    total.add(inside ? shifted : V{});
  }

  // One block without the element at `skip` (outside the block: none is left out).
  static double add_block(const E* x, int64_t n, int64_t skip, double reference, Total& total) {
    V best = lowest(), at = splat((Scalar)reference, V{});
    if (skip < 0 || skip >= n) {
      add_span(x, 0, n, at, total, best);
      return horizontal_max(best);
    }
    int64_t start = skip / kLanes * kLanes, stop = std::min(n, start + kLanes);
    add_span(x, 0, start, at, total, best);
    V v = S::load(x + start, stop - start == kLanes ? kLanes : stop - start), shifted = exp(v - at);
    auto lane = iota<Math>();
    total.add((lane < (int)(stop - start)) & (lane != (int)(skip - start)) ? shifted : V{});
    best = max(best, lane < (int)(stop - start) ? v : lowest());
    add_span(x, stop, n, at, total, best);
    return horizontal_max(best);
  }

  // `target` is the class whose term is kept apart, or -1.
  RowSum sum_row(const E* x, int64_t target) const {
    Total total;
    double reference = -kInfinity;
    for (int64_t begin = 0; begin < a.classes; begin += kBlock) {
      int64_t n = std::min(kBlock, a.classes - begin);
      if (begin == 0) reference = block_max(x, std::min(n, kGlance));
      if (reference == -kInfinity) reference = block_max(x + begin, n);
      if (reference == -kInfinity) continue;
      Total before = total;
      double best = add_block(x + begin, n, target - begin, reference, total);
      if (best > reference + kSlack) {
        total = before;
        total.sum *= std::exp(reference - best);
        reference = best;
        add_block(x + begin, n, target - begin, reference, total);
      }
    }
    if (reference == -kInfinity || reference == kInfinity) return {kNaN, kNaN, kNaN, kNaN};
    double shift = target < 0 ? -kInfinity : value(x + target) - reference;
    return {reference, total.total(), std::exp(shift), shift};
  }

  // The sum over classes of factor_c (x_c - reference) with factor_c = weight_c probability_c, where 0 times infinity
  // is 0; and the sum of the factors.
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
    products = total.total(), factors = mass.total();
  }

  // weight_c, times the smoothed probability where there is one.
  INLINE V factor_at(const E* probability, int64_t i, int n) const {
    V factor = splat((Scalar)1, V{});
    if (weight) factor = load_weight(i, n);
    if (!probability) return factor;
    V p = S::load(probability + i, n);
    if (a.smoothing > 0) p = p * (Scalar)(1 - a.smoothing) + (Scalar)(a.smoothing / a.classes);
    return factor * p;
  }

  INLINE V load_weight(int64_t i, int n) const {
    using Plain = std::conditional_t<sizeof(Scalar) == 8, F64, F32>;
    return n == kLanes ? Plain::load(weight + i) : Plain::load(weight + i, n);
  }

  // With smoothing s: (1 - s) w_t (-log p_t) + s / C sum_c w_c (-log p_c)
  RowResult cross_entropy(const E* x, int64_t target, const RowSum& sum) const {
    double w = weight_of(target), hard = (1 - a.smoothing) * w, total = sum.all();
    RowResult out{hard * sum.surprise(), hard, 0, -hard * sum.others / total};
    if (a.smoothing == 0) return out;
    double products, factors, share = a.smoothing / a.classes;
    weighted_row(x, nullptr, sum.reference, products, factors);
    out.loss += share * (a.weight_sum * std::log(total) - products);
    out.softmax_coefficient += share * a.weight_sum;
    out.class_coefficient = share;
    out.own_gradient += share * (a.weight_sum * sum.own / total - w);
    return out;
  }

  // alpha q^gamma (-log p) with q = 1 - p; d/dx_c = alpha [q^gamma + gamma q^(gamma-1) p (-log p)] (p_c - [c = t])
  RowResult focal(int64_t target, const RowSum& sum) const {
    double alpha = weight ? (double)weight[target] : a.alpha, surprise = sum.surprise();
    double p = sum.own / sum.all(), q = sum.others / sum.all(), factor = a.gamma == 0 ? 1 : std::pow(q, a.gamma);
    double bend = a.gamma == 0 || q == 0 || p == 0 ? 0 : a.gamma * (factor / q) * p * surprise;
    double coefficient = alpha * (factor + bend);
    return {alpha * factor * surprise, coefficient, 0, -coefficient * q};
  }

  void zero_row(E* g) const { std::memset(g, 0, a.classes * sizeof(E)); }

  void write_label_gradient(const E* x, E* g, int64_t target, const RowSum& sum, const RowResult& row,
                            double scale) const {
    V at = splat((Scalar)sum.reference, V{}),
      factor = splat((Scalar)(scale * row.softmax_coefficient / sum.all()), V{});
    V offset = splat((Scalar)(scale * row.class_coefficient), V{});
    bool smooth = row.class_coefficient != 0;
    Scalar own = (Scalar)(scale * row.own_gradient);
    auto one = [&](int64_t i, int n, bool whole) INLINE_LAMBDA {
      V v = whole ? S::load(x + i) : S::load(x + i, n);
      v = exp(v - at) * factor;
      if (smooth) v = v - (weight ? offset * load_weight(i, n) : offset);
      if (target >= i && target < i + n) v[target - i] = own;
      put<S>(g + i, v, n, a.stream);
    };
    aligned_walk<S>(g, a.classes, one);
  }

  void label_row(int64_t row) const {
    const E* x = (const E*)a.input + row * a.classes;
    E* g = a.grad_input ? (E*)a.grad_input + row * a.classes : nullptr;
    int64_t target = a.labels[row];
    if (target == a.ignore_index) {
      if (a.losses) a.losses[row] = 0;
      if (g) zero_row(g);
      return;
    }
    RowSum sum = sum_row(x, target);
    RowResult result = a.focal ? focal(target, sum) : cross_entropy(x, target, sum);
    if (a.losses) a.losses[row] = result.loss;
    if (g) write_label_gradient(x, g, target, sum, result, upstream_of(row));
  }

  // sum_c f_c (log S - (x_c - reference)) with f_c = w_c p_c; d/dx_c = F softmax_c - f_c, d/dp_c = w_c (log S - (x_c -
  // reference))
  void probability_row(int64_t row) const {
    int64_t start = row * a.classes;
    const E *x = (const E*)a.input + start, *probability = (const E*)a.probabilities + start;
    RowSum sum = sum_row(x, -1);
    double products, factors, log_sum = std::log(sum.others), scale = upstream_of(row);
    weighted_row(x, probability, sum.reference, products, factors);
    if (a.losses) a.losses[row] = factors * log_sum - products;
    V at = splat((Scalar)sum.reference, V{}), shift = splat((Scalar)log_sum, V{}), unit = splat((Scalar)scale, V{});
    if (a.grad_input) {
      V softmax = splat((Scalar)(scale * factors / sum.others), V{});
      auto one = [&](int64_t i, int n, bool whole) INLINE_LAMBDA {
        V v = whole ? S::load(x + i) : S::load(x + i, n);
        put<S>((E*)a.grad_input + start + i, exp(v - at) * softmax - unit * factor_at(probability, i, n), n, a.stream);
      };
      aligned_walk<S>((E*)a.grad_input + start, a.classes, one);
    }
    if (a.grad_target) {
      V mix = splat((Scalar)(scale * (1 - a.smoothing)), V{});
      auto one = [&](int64_t i, int n, bool whole) INLINE_LAMBDA {
        V v = whole ? S::load(x + i) : S::load(x + i, n);
        put<S>((E*)a.grad_target + start + i, mix * factor_at(nullptr, i, n) * (shift - (v - at)), n, a.stream);
      };
      aligned_walk<S>((E*)a.grad_target + start, a.classes, one);
    }
  }

  void run(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; row++) a.labels ? label_row(row) : probability_row(row);
    if (a.stream) fence_stream();
  }
};

void classes(const ClassesArguments& a, int64_t begin, int64_t end) {
  with_storage(a.dtype, [&](auto storage) { Classes<decltype(storage)>(a).run(begin, end); });
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
