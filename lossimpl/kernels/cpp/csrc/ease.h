// How easy a group of elements is for a formula. Most groups are harmless, and what is right for those takes half of
// the instructions.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

template <class V>
INLINE V constant(double c) {
  return splat(static_cast<std::remove_reference_t<decltype(V{}[0])>>(c), V{});
}

// Any values at all, none that a formula needs care for, or none and hard labels (0 or 1).
enum class Ease { any, plain, hard };

// What a formula sees of a group in passing, to tell how easy it is.
template <class Math>
struct Glance {
  using V = typename Math::Vector;
  using Bits = typename Math::Bits;
  Bits largest{}, widest{}, soft{};

  // The largest magnitude, as whole numbers, among which NaN is above infinity.
  static INLINE Bits larger(Bits a, V v) {
    Bits magnitude = as_int(abs(v));
    return magnitude > a ? magnitude : a;
  }
  static INLINE Bits limit(double v) { return as_int(constant<V>(v)); }

  INLINE void see(V v) { largest = larger(largest, v); }
  INLINE void see_label(V y) {
    V distance = abs(y - constant<V>(0.5));
    widest = larger(widest, distance);
    soft |= as_int(y - constant<V>(0.5)) ^ limit(0.5);  // its sign does not count
  }
  INLINE bool below(double v) const { return none(largest >= limit(v)); }
  INLINE bool hard() const { return none(soft << 1); }
  INLINE bool shares() const { return none(widest > limit(0.5)); }
};

// A formula that is the same for all values, and computed in one go.
struct Uniform {
  static constexpr bool kHeavy = false, kEarly = false, kDivides = false, kKnown = false;
  template <bool STEP, Ease, class V>
  static INLINE V early(V, V) {
    return V{};
  }
  template <class Math, class V>
  static INLINE void look(Glance<Math>&, V, V) {}
  template <class Math>
  static INLINE Ease ease(const Glance<Math>&, bool) {
    return Ease::any;
  }
  static INLINE Ease easiest(bool) { return Ease::any; }
};

// All ones where a label, 0 or 1, is one: whose exponent has the second bit from the top.
template <class V>
INLINE auto is_one(V y) {
  return negative(as_int(y) << 2);
}

// v where the mask is all ones, else zero.
template <class M, class V>
INLINE V where(M mask, V v) {
  return bits<V>(mask & as_int(v));
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
