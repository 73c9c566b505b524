// Lookup tables for bf16: the part of a formula that depends on one number, computed once for each of the 65,536 bf16
// values by the formula itself, so that the bits are the same. In a loss with exponentials and logarithms the
// arithmetic units are the bottleneck and the load units are idle; the table moves the longest part to them. The values
// of a tensor lie close together: of a normal distribution 10 KB of the table are in use, which stay in the L1 cache.
#pragma once
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// The two results of a formula that are tabulated.
template <class V>
struct Tabulated {
  V first, second;
};

struct alignas(8) Entry {
  float first, second;
};

template <class Formula>
struct Table {
  Entry entries[1 << 16];

  Table() {
    for (int from = 0; from < 1 << 16; from += BF16::kLanes) {
      uint16_t keys[BF16::kLanes];
      for (int i = 0; i < BF16::kLanes; i++) keys[i] = from + i;
      float first[BF16::kLanes], second[BF16::kLanes];
      compute(keys, first, second);
      for (int i = 0; i < BF16::kLanes; i++) entries[from + i] = {first[i], second[i]};
    }
  }
  // Not inlined: next to code that extracts lanes, a compiler may round a product that it fuses elsewhere.
  static __attribute__((noinline)) void compute(const uint16_t* keys, float* first, float* second) {
    Tabulated<Float> tabulated = Formula::tabulated(BF16::load(keys));
    F32::store(first, tabulated.first), F32::store(second, tabulated.second);
  }
  static const Entry* get() {
    static const Table table;
    return table.entries;
  }
};

#if LOSSIMPL_BYTES == 64
// The entries of eight keys: keys[0], [1], [4], [5], [8], [9], [12] and [13].
INLINE Float look_up_eight(const Entry* table, const uint16_t* keys) {
  auto at = [=](int i) INLINE_LAMBDA { return (const double*)(table + keys[i]); };
  auto two = [=](int i) INLINE_LAMBDA { return _mm_loadh_pd(_mm_load_sd(at(i)), at(i + 1)); };
  __m256d low = _mm256_insertf128_pd(_mm256_castpd128_pd256(two(0)), two(4), 1);
  __m256d high = _mm256_insertf128_pd(_mm256_castpd128_pd256(two(8)), two(12), 1);
  return (Float)_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
}
INLINE Tabulated<Float> look_up(const Entry* table, const uint16_t* keys) {
  Float a = look_up_eight(table, keys), b = look_up_eight(table, keys + 2);
  return {_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd)};
}
#else
INLINE Tabulated<Float> look_up(const Entry* table, const uint16_t* keys) {
  Tabulated<Float> tabulated;
  for (int i = 0; i < BF16::kLanes; i++)
    tabulated.first[i] = table[keys[i]].first, tabulated.second[i] = table[keys[i]].second;
  return tabulated;
}
#endif

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
