// The sum of exp over a row of classes, read once from memory: a reference near the row's maximum is carried along,
// block by block, and moved only where a block exceeds it by more than kSlack, so that exp(x - reference) neither
// overflows nor loses digits.
#pragma once
#include "anchor.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kSlack = 25;
constexpr int64_t kBlock = 2048;
constexpr int64_t kGlance = 64;        // classes whose maximum is a row's first reference
constexpr int64_t kLongest = 1 << 17;  // classes whose terms are kept: 512 KiB of floats, half a second-level cache
constexpr int kAtOnce = 4;             // vectors

// The sum of exp(x - reference) over a row, the target's own term apart: 1 - p_t = others / (others + own), exactly.
struct RowSum {
  double reference, others, own, own_shift;
  double all() const { return others + own; }
  // -log p_t
  double surprise() const { return others < own ? std::log1p(others / own) : std::log(all()) - own_shift; }
};

// The terms exp(x - reference) of a row for its gradient: kept, which spares a step half of its exponentials, or
// computed anew, to the same bits. Each block has the reference of its time, in rows of kLongest classes at most.
template <class T>
struct Terms {
  using Plain = std::conditional_t<sizeof(T) == 8, F64, F32>;
  using V = typename Plain::V;
  struct alignas(64) Line {
    T values[64 / sizeof(T)];
  };
  T* kept = nullptr;
  bool blocks;
  double references[kLongest / kBlock];

  // The memory stays with the thread.
  Terms(int64_t classes, bool keep) : blocks(classes <= kLongest) {
    if (!keep || !blocks) return;
    static thread_local std::vector<Line> memory;
    size_t lines = (classes * sizeof(T) + kAtOnce * kBytes) / sizeof(Line) + 1;
    if (memory.size() < lines) memory.resize(lines);
    kept = memory[0].values;
  }
  INLINE void keep(int64_t i, V v) { Plain::store(kept + i, v); }
  INLINE V load(int64_t i) const { return Plain::load(kept + i); }

  void remember(int64_t begin, double reference) {
    if (blocks) references[begin / kBlock] = reference;
  }
  double reference_of(int64_t begin, double last) const { return blocks ? references[begin / kBlock] : last; }
  // The end of the blocks from `begin` on that have one reference.
  int64_t same_until(int64_t begin, int64_t classes) const {
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
  static constexpr int64_t kGroup = kAtOnce * kLanes;
  static constexpr int64_t kTogether = sizeof(E) == 2 ? 4 * kGroup : kGroup;  // are added as floats

  const E* x;
  int64_t classes, target;
  Terms<Scalar>& terms;
  Total total;

  static INLINE V lowest() { return splat((Scalar)-kInfinity, V{}); }

  // x[i, i + kLanes), and `filler` from `end` on.
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

  // Adds exp(x - reference) over kGroup elements from i, or up to `end`, to `sum`, and folds x into `best` where it may
  // lie far from the reference.
  template <bool KEEP, bool WHOLE>
  INLINE void add_group(int64_t i, int64_t end, const Anchor<S>& anchor, V& best, V& sum) {
    V v[kAtOnce], e[kAtOnce];
    V filler = anchor.reference == -kInfinity ? lowest() : anchor.at;
    for (int j = 0; j < kAtOnce; j++) v[j] = WHOLE ? S::load(x + i + j * kLanes) : load(i + j * kLanes, end, filler);
    if (!anchor.terms(v, e))
      for (int j = 0; j < kAtOnce; j++) best = max(best, v[j]);
    auto at = iota<typename S::Math>();
    if (!WHOLE)
      for (int j = 0; j < kAtOnce; j++) e[j] = at < (int)(end - i) - j * kLanes ? e[j] : V{};
    if (KEEP)
      for (int j = 0; j < kAtOnce; j++) terms.keep(i + j * kLanes, e[j]);
    int64_t own = target - i;
    if (own >= 0 && own < kGroup)
      for (int j = 0; j < kAtOnce; j++) e[j] = at == (int)own - j * kLanes ? V{} : e[j];
    for (int j = 0; j < kAtOnce; j++) sum += e[j];
  }

  // Returns the largest of what may lie far from the reference.
  template <bool KEEP>
  double add_block(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    V best = lowest();
    while (begin < end) {
      V sum{};
      int64_t pause = std::min(end, begin + kTogether);
      for (; begin + kGroup <= pause; begin += kGroup) add_group<KEEP, true>(begin, end, anchor, best, sum);
      if (begin < pause) add_group<KEEP, false>(begin, end, anchor, best, sum);
      begin = pause;
      total.add(sum);
    }
    return horizontal_max(best);
  }
  double add_block(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    return terms.kept ? add_block<true>(begin, end, anchor) : add_block<false>(begin, end, anchor);
  }

  // The anchor of a block that may lie far from the one before.
  Anchor<S> add_anchored(int64_t begin, int64_t end, const Anchor<S>& anchor) {
    Total before = total;
    double best = add_block(begin, end, anchor);
    if (!(best > anchor.reference + kSlack)) return anchor;
    Anchor<S> moved(best);
    total = before;
    if (anchor.reference != -kInfinity) total.scale(std::exp(anchor.reference - moved.reference));
    add_block(begin, end, moved);
    return moved;
  }

  RowSum run() {
    Anchor<S> anchor(maximum(0, std::min(classes, kGlance)));
    for (int64_t begin = 0; begin < classes; begin += kBlock) {
      anchor = add_anchored(begin, std::min(begin + kBlock, classes), anchor);
      terms.remember(begin, anchor.reference);
    }
    double reference = anchor.reference;
    if (reference == -kInfinity || reference == kInfinity) return {kNaN, kNaN, kNaN, kNaN};
    double shift = target < 0 ? -kInfinity : (double)S::load(x + target, 1)[0] - reference;
    return {reference, total.total(), std::exp(shift), shift};
  }
};

// `target` is the class whose term is left out of the others, or -1.
template <class S>
RowSum sum_row(const typename S::Element* x, int64_t classes, int64_t target,
               Terms<typename S::Math::Scalar>& terms) {
  return RowSummer<S>{x, classes, target, terms, {}}.run();
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
