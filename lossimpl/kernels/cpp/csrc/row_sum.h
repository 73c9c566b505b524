// The sum of exp over a row of classes, read once from memory: a reference value near the row's maximum is carried
// along, block by block, and moved only where a block exceeds it by more than kSlack, so that exp(x - reference) neither
// overflows nor loses digits.
#pragma once
#include "math.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kSlack = 8;
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

// The terms exp(x - reference) of a row for its gradient: kept, which spares a step half of its exponentials, or computed
// anew, to the same bits. Each block has the reference of its time, in rows of kLongest classes at most.
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
};

// What is subtracted in a block: of one that has only -inf so far, any number does.
inline double anchor(double reference) { return reference == -kInfinity ? 0 : reference; }

template <class S>
struct RowSummer {
  using E = typename S::Element;
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr int kLanes = S::kLanes;
  static constexpr int64_t kGroup = kAtOnce * kLanes;

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

  // Adds exp(x - reference) over kGroup elements from i, or up to `end`, to the total and folds x into `best`.
  template <bool KEEP, bool WHOLE>
  INLINE void add_group(int64_t i, int64_t end, V reference, V& best) {
    V v[kAtOnce], e[kAtOnce];
    for (int j = 0; j < kAtOnce; j++)
      v[j] = WHOLE ? S::load(x + i + j * kLanes) : load(i + j * kLanes, end, lowest());
    for (int j = 0; j < kAtOnce; j++) best = max(best, v[j]);
    for (int j = 0; j < kAtOnce; j++) v[j] = v[j] - reference;
    exp_each(v, e);
    if (KEEP)
      for (int j = 0; j < kAtOnce; j++) terms.keep(i + j * kLanes, e[j]);
    int64_t own = target - i;
    if (own >= 0 && own < kGroup) e[own / kLanes][own % kLanes] = 0;
    for (int j = 1; j < kAtOnce; j++) e[0] += e[j];
    total.add(e[0]);
  }

  // Returns the block's maximum.
  template <bool KEEP>
  double add_block(int64_t begin, int64_t end, double reference) {
    V best = lowest(), at = splat((Scalar)reference, V{});
    for (; begin + kGroup <= end; begin += kGroup) add_group<KEEP, true>(begin, end, at, best);
    if (begin < end) add_group<KEEP, false>(begin, end, at, best);
    return horizontal_max(best);
  }
  double add_block(int64_t begin, int64_t end, double reference) {
    return terms.kept ? add_block<true>(begin, end, reference) : add_block<false>(begin, end, reference);
  }

  RowSum run() {
    double reference = -kInfinity;
    for (int64_t begin = 0; begin < classes; begin += kBlock) {
      int64_t end = std::min(begin + kBlock, classes);
      if (begin == 0) reference = maximum(0, std::min(end, kGlance));
      if (reference == -kInfinity) reference = maximum(begin, end);
      Total before = total;
      double best = add_block(begin, end, anchor(reference));
      if (best > reference + kSlack) {
        total = before;
        total.sum *= std::exp(reference - best);
        reference = best;
        add_block(begin, end, reference);
      }
      terms.remember(begin, reference);
    }
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
