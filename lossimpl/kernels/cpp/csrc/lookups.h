// Tables of bf16: what a formula makes of one number, computed once for each of the 65,536 there are, by the formula
// itself, so that the bits are those of computing it anew. The units that load are idle in a loss with exponentials and
// logarithms; here they spare the others the longest part. A tensor's values lie close together: of a normal
// distribution 10 KB of the table are in use, which stay in the first cache.
#pragma once
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// The two numbers that a formula makes of one.
template <class V>
struct Known {
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
  // On its own: beside code that takes the lanes apart, a compiler may round what it would fuse elsewhere.
  static __attribute__((noinline)) void compute(const uint16_t* keys, float* first, float* second) {
    Known<Float> known = Formula::known(BF16::load(keys));
    F32::store(first, known.first), F32::store(second, known.second);
  }
  static const Entry* get() {
    static const Table table;
    return table.entries;
  }
};

#if LOSSIMPL_BYTES == 64
// Entries of eight keys, in the order 0 1 4 5 8 9 12 13 of those that keys points at.
INLINE Float look_up_eight(const Entry* table, const uint16_t* keys) {
  auto at = [=](int i) INLINE_LAMBDA { return (const double*)(table + keys[i]); };
  auto two = [=](int i) INLINE_LAMBDA { return _mm_loadh_pd(_mm_load_sd(at(i)), at(i + 1)); };
  __m256d low = _mm256_insertf128_pd(_mm256_castpd128_pd256(two(0)), two(4), 1);
  __m256d high = _mm256_insertf128_pd(_mm256_castpd128_pd256(two(8)), two(12), 1);
  return (Float)_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
}
INLINE Known<Float> look_up(const Entry* table, const uint16_t* keys) {
  Float a = look_up_eight(table, keys), b = look_up_eight(table, keys + 2);
  return {_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd)};
}
#else
INLINE Known<Float> look_up(const Entry* table, const uint16_t* keys) {
  Known<Float> known;
  for (int i = 0; i < BF16::kLanes; i++) known.first[i] = table[keys[i]].first, known.second[i] = table[keys[i]].second;
  return known;
}
#endif

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
