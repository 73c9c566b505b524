// Triplet margin: max(0, margin + d(a, p) - d(a, n)) over rows, with d(u, v) = || u - v + eps ||_p.
#pragma once
#include "math.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// A distance, and how many elements attain the extreme (for p = +-infinity; they share the gradient).
struct Distance {
  double norm, ties;
};

template <class S>
struct Triplet {
  using E = typename S::Element;
  using Math = typename S::Math;
  using V = typename S::V;
  using Scalar = typename Math::Scalar;
  static constexpr int kLanes = S::kLanes;

  const TripletArguments& a;
  bool euclidean, absolute, extreme;  // p is 2, 1, or infinite: the largest element, or the smallest for -infinity

  // Rows of one element take the exact path, where the two parts of the anchor's gradient cancel exactly.
  explicit Triplet(const TripletArguments& a)
      : a(a), euclidean(a.p == 2 && a.width > 1), absolute(a.p == 1), extreme(std::isinf(a.p)) {}

  static INLINE V load(const E* p, int n) { return n == kLanes ? S::load(p) : S::load(p, n); }
  INLINE V difference(const E* u, const E* v, int64_t i, int n) const {
    return load(u + i, n) - load(v + i, n) + (Scalar)a.eps;
  }
  double difference(const E* u, const E* v, int64_t i) const {
    return (double)S::load(u + i, 1)[0] - (double)S::load(v + i, 1)[0] + a.eps;
  }

  // The terms of a norm with p = 1 or 2: |d| or its square.
  INLINE V term(const E* u, const E* v, int64_t i, int n) const {
    V d = abs(difference(u, v, i, n));
    return euclidean ? d * d : d;
  }

  // ||u - v + eps|| in vectors. In half precision, eight are added in float before they enter the sum in double.
  double fast_norm(const E* u, const E* v) const {
    Total total;
    V part{};
    int64_t i = 0;
    for (; i + kLanes <= a.width; i += kLanes) {
      V one = term(u, v, i, kLanes);
      if (sizeof(E) != 2) total.add(one);
      if (sizeof(E) == 2) part += one;
      if (sizeof(E) == 2 && i % (8 * kLanes) == 0) total.add(part), part = V{};
    }
    int rest = (int)(a.width - i);
    if (rest) total.add(iota<Math>() < rest ? term(u, v, i, rest) : V{});
    total.add(part);
    return euclidean ? std::sqrt(total.total()) : total.total();
  }

  // The extreme element, in double: float would round eps away, and with it the difference between two elements.
  Distance extreme_element(const E* u, const E* v) const {
    double best = a.p > 0 ? 0 : INFINITY, ties = 0;
    for (int64_t i = 0; i < a.width; i++) {
      double d = std::fabs(difference(u, v, i));
      if ((a.p > 0 ? d > best : d < best) || std::isnan(d))
        best = d, ties = 1;
      else
        ties += d == best;
    }
    return {best, std::max(ties, 1.0)};
  }

  // For every other p, and where squares exceed the range of float: in units of the extreme element, so that no power
  // exceeds the range of double. p = 0 counts the elements that differ.
  Distance slow_norm(const E* u, const E* v) const {
    Distance most = extreme_element(u, v);
    double unit = most.norm, total = 0;
    if (extreme || (a.p != 0 && (unit == 0 || !std::isfinite(unit)) && !std::isnan(a.p))) return most;
    for (int64_t i = 0; i < a.width; i++) {
      double d = std::fabs(difference(u, v, i));
      total += a.p == 0 ? double(d != 0) : std::pow(d / unit, a.p);
    }
    return {a.p == 0 ? total : unit * std::pow(total, 1 / a.p), 1};
  }

  Distance distance(const E* u, const E* v) const {
    if (!euclidean && !absolute) return slow_norm(u, v);
    double norm = fast_norm(u, v);
    bool out_of_range = euclidean && (!std::isfinite(norm) || norm < 1e-15);
    return out_of_range ? slow_norm(u, v) : Distance{norm, 1};
  }

  // The gradient of one distance with respect to its difference, times `coefficient`; zero if `none`. That of an infinite
  // distance is 0 times infinity, NaN, as in torch.
  struct Slope {
    const E *u, *v;
    double coefficient, norm;
    bool none;
  };

  Slope slope(const E* u, const E* v, const Distance& d, double coefficient) const {
    bool none = coefficient == 0 || (!absolute && !extreme && (d.norm == 0 || a.p == 0));
    if (extreme) coefficient /= d.ties;
    return {u, v, euclidean ? coefficient / d.norm : coefficient, d.norm, none};
  }

  INLINE V at(const Slope& s, int64_t i, int n) const {
    if (s.none) return V{};
    if (!euclidean && !absolute) return general(s, i, n);
    V d = difference(s.u, s.v, i, n), factor = splat((Scalar)s.coefficient, d);
    if (euclidean) return factor * d;
    return d > 0 ? factor : (d < 0 ? -factor : V{});
  }

  // (|d| / norm)^(p-1) sign(d), 0 at d = 0; for p = infinity sign(d) where |d| is the norm.
  V general(const Slope& s, int64_t i, int n) const {
    V out{};
    for (int k = 0; k < n; k++) {
      double d = difference(s.u, s.v, i + k), size = std::fabs(d);
      double power = extreme ? double(size == s.norm) : std::pow(size / s.norm, a.p - 1);
      out[k] = d == 0 ? 0 : (Scalar)(s.coefficient * std::copysign(power, d));
    }
    return out;
  }

  // With swap, the smaller of d(a, n) and d(p, n) counts; if they are equal, each counts half.
  void row(int64_t row) const {
    int64_t start = row * a.width;
    const E *anchor = (const E*)a.anchor + start, *positive = (const E*)a.positive + start;
    const E* negative = (const E*)a.negative + start;
    Distance near = distance(anchor, positive), far = distance(anchor, negative), cross{0, 1};
    double direct = 1, swapped = 0, gap = far.norm;
    if (a.swap) {
      cross = distance(positive, negative);
      swapped = cross.norm < far.norm ? 1 : (cross.norm == far.norm ? 0.5 : 0), direct = 1 - swapped;
      gap = cross.norm < far.norm || std::isnan(cross.norm) ? cross.norm : far.norm;
    }
    double loss = a.margin + near.norm - gap;
    if (a.losses) a.losses[row] = loss < 0 ? 0 : loss;
    if (!a.grad_anchor && !a.grad_positive && !a.grad_negative) return;
    double unit = loss < 0 ? 0 : a.scale * (a.upstream ? a.upstream[row] : 1.0);
    write(start, slope(anchor, positive, near, unit), slope(anchor, negative, far, -direct * unit),
          slope(positive, negative, cross, -swapped * unit));
  }

  void write(int64_t start, const Slope& near, const Slope& far, const Slope& cross) const {
    E *anchor = (E*)a.grad_anchor, *positive = (E*)a.grad_positive, *negative = (E*)a.grad_negative;
    bool stream =
        a.stream && aligned<S>(anchor + start) && aligned<S>(positive + start) && aligned<S>(negative + start);
    auto some = [&](int64_t i, int n) INLINE_LAMBDA {
      V to_positive = at(near, i, n), to_negative = at(far, i, n), between = a.swap ? at(cross, i, n) : V{};
      if (anchor) put<Inexact<S>>(anchor + start + i, to_positive + to_negative, n, stream);
      if (positive) put<Inexact<S>>(positive + start + i, between - to_positive, n, stream);
      if (negative) put<Inexact<S>>(negative + start + i, -to_negative - between, n, stream);
    };
    int64_t i = 0;
    for (; i + kLanes <= a.width; i += kLanes) some(i, kLanes);
    if (i < a.width) some(i, (int)(a.width - i));
  }

  void run(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; i++) row(i);
    if (a.stream) fence_stream();
  }
};

void triplet(const TripletArguments& a, int64_t begin, int64_t end) {
  with_storage(a.dtype, [&](auto storage) { Triplet<decltype(storage)>(a).run(begin, end); });
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
