// The sum of exp over a row of classes, read once from memory: the sum is relative to a reference near the row's
// maximum, which moves only when a block exceeds it by more than kMaxExcess, so that exp(x - reference) neither
// overflows nor loses digits.
#pragma once
#include "anchor.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kMaxExcess = 25;
constexpr int64_t kBlock = 2048;
constexpr int64_t kFirstClasses = 64;           // the maximum of so many classes is the first reference of a row
constexpr int64_t kMaxStoredClasses = 1 << 17;  // terms of so many classes are stored: 512 KiB of floats, half an L2
constexpr int kUnroll = 4;                      // vectors

// The sum of exp(x - reference) over a row, with the target's term apart: 1 - p_t = others / (others + target), without
// cancellation.
struct RowSum {
  double reference, others, target, target_shift;
  double all() const { return others + target; }
  // -log p_t
  double surprisal() const { return others < target ? std::log1p(others / target) : std::log(all()) - target_shift; }
};

// The terms exp(x - reference) of a row for its gradient: stored, which saves a step half of its exponentials, or
// recomputed with the same bits. In rows of at most kMaxStoredClasses, each block keeps the reference that it was
// summed with.
template <class T>
struct Terms {
  using Plain = std::conditional_t<sizeof(T) == 8, F64, F32>;
  using V = typename Plain::V;
  struct alignas(64) Line {
    T values[64 / sizeof(T)];
  };
  T* stored = nullptr;
  bool blocks;
  double references[kMaxStoredClasses / kBlock];

  // The memory is thread-local and reused.
  Terms(int64_t classes, bool store) : blocks(classes <= kMaxStoredClasses) {
    if (!store || !blocks) return;
    static thread_local std::vector<Line> memory;
    size_t lines = (classes * sizeof(T) + kUnroll * kBytes) / sizeof(Line) + 1;
    if (memory.size() < lines) memory.resize(lines);
    stored = memory[0].values;
  }
  INLINE void store(int64_t i, V v) { Plain::store(stored + i, v); }
  INLINE V load(int64_t i) const { return Plain::load(stored + i); }

  void set_reference(int64_t begin, double reference) {
    if (blocks) references[begin / kBlock] = reference;
  }
  double reference_of(int64_t begin, double last) const { return blocks ? references[begin / kBlock] : last; }
  // The end of the blocks that share the reference of the block at `begin`.
  int64_t end_of_reference(int64_t begin, int64_t classes) const {
    int64_t end = begin + kBlock;
    while (end < classes && (!blocks || references[end / kBlock] == references[begin / kBlock])) end += kBlock;
    return std::min(end, classes);
  }
};

template <class S>
struct RowSummer {
  using E = typename S::Element;
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr int kLanes = S::kLanes;
  static constexpr int64_t kGroup = kUnroll * kLanes;
  static constexpr int64_t kFloatBlock = sizeof(E) == 2 ? 4 * kGroup : kGroup;  // terms added in float

  const E* x;
  int64_t classes, target;
  Terms<Scalar>& terms;
  Total total;

  static INLINE V lowest() { return splat((Scalar)-kInfinity, V{}); }

  // x[i, i + kLanes), with `filler` from `end` on.
  INLINE V load(int64_t i, int64_t end, V filler) const {
    if (i + kLanes <= end) return S::load(x + i);
    if (i >= end) return filler;
    return iota<typename S::Math>() < (int)(end - i) ? S::load(x + i, end - i) : filler;
  }

  double maximum(int64_t i, int64_t end) const {
    V best = lowest();
    for (; i < end; i += kLanes) best = max(best, load(i, end, lowest()));
    return horizontal_max(best);
  }

  // Adds exp(x - reference) over kGroup elements from i, or up to `end`, to `sum`. Includes x in the maximum `best` if
  // it may be far from the reference.
  template <bool STORE, bool WHOLE>
  INLINE void add_group(int64_t i, int64_t end, const Anchor<S>& anchor, V& best, V& sum) {
    V v[kUnroll], e[kUnroll];
    V filler = anchor.reference == -kInfinity ? lowest() : anchor.at;
    for (int j = 0; j < kUnroll; j++) v[j] = WHOLE ? S::load(x + i + j * kLanes) : load(i + j * kLanes, end, filler);
    if (!anchor.terms(v, e))
      for (int j = 0; j < kUnroll; j++) best = max(best, v[j]);
    auto at = iota<typename S::Math>();
    if (!WHOLE)
      for (int j = 0; j < kUnroll; j++) e[j] = at < (int)(end - i) - j * kLanes ? e[j] : V{};
    if (STORE)
      for (int j = 0; j < kUnroll; j++) terms.store(i + j * kLanes, e[j]);
    int64_t own = target - i;
    if (own >= 0 && own < kGroup)
      for (int j = 0; j < kUnroll; j++) e[j] = at == (int)own - j * kLanes ? V{} : e[j];
    for (int j = 0; j < kUnroll; j++) sum += e[j];
  }

  // Returns the maximum of the elements that may be far from the reference.
  template <bool STORE>
  double add_block(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    V best = lowest();
    while (begin < end) {
      V sum{};
      int64_t block_end = std::min(end, begin + kFloatBlock);
      for (; begin + kGroup <= block_end; begin += kGroup) add_group<STORE, true>(begin, end, anchor, best, sum);
      if (begin < block_end) add_group<STORE, false>(begin, end, anchor, best, sum);
      begin = block_end;
      total.add(sum);
    }
    return horizontal_max(best);
  }
  double add_block(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    return terms.stored ? add_block<true>(begin, end, anchor) : add_block<false>(begin, end, anchor);
  }

  // Adds a block, again with a new reference if its values exceed the current one too far; returns the anchor in use.
  Anchor<S> add_anchored(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    Total before = total;
    double best = add_block(begin, end, anchor);
    if (!(best > anchor.reference + kMaxExcess)) return anchor;
    Anchor<S> moved(best);
    total = before;
    if (anchor.reference != -kInfinity) total.scale(std::exp(anchor.reference - moved.reference));
    add_block(begin, end, moved);
    return moved;
  }

  RowSum run() {
    Anchor<S> anchor(maximum(0, std::min(classes, kFirstClasses)));
    for (int64_t begin = 0; begin < classes; begin += kBlock) {
      anchor = add_anchored(begin, std::min(begin + kBlock, classes), anchor);
      terms.set_reference(begin, anchor.reference);
    }
    double reference = anchor.reference;
    if (reference == -kInfinity || reference == kInfinity) return {kNaN, kNaN, kNaN, kNaN};
    double shift = target < 0 ? -kInfinity : (double)S::load(x + target, 1)[0] - reference;
    return {reference, total.total(), std::exp(shift), shift};
  }
};

// `target` is the class whose term is excluded from `others`, or -1.
template <class S>
RowSum sum_row(const typename S::Element* x, int64_t classes, int64_t target, Terms<typename S::Math::Scalar>& terms) {
  return RowSummer<S>{x, classes, target, terms, {}}.run();
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
