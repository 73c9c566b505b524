// exp(x - reference) for the logits of a row, with a reference near their maximum.
#pragma once
#include "math.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// With AVX-512 and float, the reference is rounded to a whole number of the units of exp_anchored, unless it is too
// large to represent that. Inputs outside the range of exp_anchored, and other instruction sets and dtypes, use exp(x -
// at) instead, times the factor `rest` that corrects the rounding of the reference to `at`.
template <class S>
struct Anchor {
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr bool kUsesTable = LOSSIMPL_BYTES == 64 && std::is_same_v<Scalar, float>;
  static constexpr double kLargest = 1e5;

  double reference;
  V at, rest = splat((Scalar)1, V{}), base{};

  explicit Anchor(double near) : reference(near) {
#if LOSSIMPL_BYTES == 64
    if (kUsesTable) {
      double whole = std::abs(near) < kLargest ? std::nearbyint(near * kUnits) : kNaN;
      if (whole == whole) reference = whole / kUnits;
      base = splat((Scalar)(kMiddle - whole), V{});
    }
#endif
    // If all logits so far are -inf, any finite number will do.
    Scalar rounded = near == -kInfinity ? 0 : (Scalar)reference;
    at = splat(rounded, V{});
    if (kUsesTable && !std::isinf(near)) {
      double off = rounded - reference;  // at most 0.004: three terms give its exponential
      rest = splat((Scalar)(1 + off + off * off / 2), V{});
    }
  }

  // exp(x - reference) of N vectors; returns whether all were in the range of exp_anchored. The bits of an element do
  // not depend on its neighbours.
  template <int N>
  INLINE bool terms(const V (&x)[N], V (&out)[N]) const {
#if LOSSIMPL_BYTES == 64
    if constexpr (kUsesTable) {
      if (__builtin_expect(exp_anchored<sizeof(typename S::Element) == 2>(x, base, out), 1)) return true;
      for (int i = 0; i < N; i++) out[i] = out_of_range(in_units(x[i], base)) == 0 ? out[i] : exp_any(x[i] - at) * rest;
      return false;
    }
#endif
    for (int i = 0; i < N; i++) out[i] = exp(x[i] - at);
    return false;
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
