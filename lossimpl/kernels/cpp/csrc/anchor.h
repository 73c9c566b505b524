// The exponential of a row's logits less a reference near their maximum.
#pragma once
#include "math.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// With AVX-512, floats are anchored at a whole number of exp_anchored's units, up to such a size as leaves room for
// them. What is strange there, and all elsewhere, goes another way: by exp(x - at), times what rounding the reference
// to `at` took.
template <class S>
struct Anchor {
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr bool kLooksUp = LOSSIMPL_BYTES == 64 && std::is_same_v<Scalar, float>;
  static constexpr double kLargest = 1e5;

  double reference;
  V at, rest = splat((Scalar)1, V{}), base{};

  explicit Anchor(double near) : reference(near) {
#if LOSSIMPL_BYTES == 64
    if (kLooksUp) {
      double whole = std::abs(near) < kLargest ? std::nearbyint(near * kUnits) : kNaN;
      if (whole == whole) reference = whole / kUnits;
      base = splat((Scalar)(kMiddle - whole), V{});
    }
#endif
    // Of logits that are all -inf so far, any number is near.
    Scalar rounded = near == -kInfinity ? 0 : (Scalar)reference;
    at = splat(rounded, V{});
    if (kLooksUp && !std::isinf(near)) {
      double off = rounded - reference;  // at most 0.004, whose exponential three terms give
      rest = splat((Scalar)(1 + off + off * off / 2), V{});
    }
  }

  // exp(x - reference) of some vectors; whether all went the short way. An element's bits do not depend on those beside
  // it.
  template <int N>
  INLINE bool terms(const V (&x)[N], V (&out)[N]) const {
#if LOSSIMPL_BYTES == 64
    if constexpr (kLooksUp) {
      if (__builtin_expect(exp_anchored<sizeof(typename S::Element) == 2>(x, base, out), 1)) return true;
      for (int i = 0; i < N; i++) out[i] = strange(in_units(x[i], base)) == 0 ? out[i] : exp_any(x[i] - at) * rest;
      return false;
    }
#endif
    for (int i = 0; i < N; i++) out[i] = exp(x[i] - at);
    return false;
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
