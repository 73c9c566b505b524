// Classes of inputs, by which a formula chooses its code path. Most groups of elements need no special cases, and the
// path without them takes half of the instructions.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

template <class V>
INLINE V constant(double c) {
  return splat(static_cast<std::remove_reference_t<decltype(V{}[0])>>(c), V{});
}

// Any values; only values for which a formula has no special case; and of those, hard labels (0 or 1). A later class is
// contained in every earlier one.
enum class InputClass { any, regular, hard_labels };

// What a formula records about the values of a group in order to classify it.
template <class Math>
struct InputSummary {
  using V = typename Math::Vector;
  using Bits = typename Math::Bits;
  Bits largest{}, widest{}, soft{};

  // The larger magnitude, compared as integers, where NaN exceeds infinity.
  static INLINE Bits larger(Bits a, V v) {
    Bits magnitude = as_int(abs(v));
    return magnitude > a ? magnitude : a;
  }
  static INLINE Bits limit(double v) { return as_int(constant<V>(v)); }

  INLINE void add(V v) { largest = larger(largest, v); }
  INLINE void add_label(V y) {
    V distance = abs(y - constant<V>(0.5));
    widest = larger(widest, distance);
    soft |= as_int(y - constant<V>(0.5)) ^ limit(0.5);  // all but the sign bit is zero if y is 0 or 1
  }
  INLINE bool all_below(double v) const { return all_zero(largest >= limit(v)); }
  INLINE bool labels_are_hard() const { return all_zero(soft << 1); }
  INLINE bool labels_are_shares() const { return all_zero(widest > limit(0.5)); }
};

// The base of formulas with one code path for all values.
struct SingleClass {
  static constexpr bool kHeavy = false, kHasPrologue = false, kDividesByCount = false, kTabulated = false;
  template <bool STEP, InputClass, class V>
  static INLINE V prologue(V, V) {
    return V{};
  }
  template <class Math, class V>
  static INLINE void observe(InputSummary<Math>&, V, V) {}
  template <class Math>
  static INLINE InputClass classify(const InputSummary<Math>&, bool) {
    return InputClass::any;
  }
  static INLINE InputClass best_class(bool) { return InputClass::any; }
};

// All ones where a hard label is 1: of 0 and 1, only 1 has the second-highest bit of the exponent set.
template <class V>
INLINE auto label_is_one(V y) {
  return negative(as_int(y) << 2);
}

// v where the mask is all ones, 0 elsewhere.
template <class M, class V>
INLINE V masked(M mask, V v) {
  return bits<V>(mask & as_int(v));
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
