// How each dtype lies in memory: float64, float32, and bf16 and fp16, which widen to float.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

#if LOSSIMPL_BYTES == 64
INLINE __mmask16 first16(int n) { return (__mmask16)((1u << n) - 1); }
#endif

INLINE void fence_stream() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// A store past the cache; `to` is aligned to the vector.
template <class V>
INLINE void store_stream(void* to, V v) {
#if defined(__x86_64__)
  if constexpr (sizeof(V) == 64) {
#if LOSSIMPL_BYTES == 64
    _mm512_stream_si512((__m512i*)to, bits<__m512i>(v));
#endif
  } else if constexpr (sizeof(V) == 32) {
#if LOSSIMPL_BYTES >= 32
    _mm256_stream_si256((__m256i*)to, bits<__m256i>(v));
#endif
  } else if constexpr (sizeof(V) == 16) {
    _mm_stream_si128((__m128i*)to, bits<__m128i>(v));
  } else {
    std::memcpy(to, &v, sizeof(V));
  }
#else
  std::memcpy(to, &v, sizeof(V));
#endif
}

// fp16 -> float: shift the fields into place and rebias by a multiplication, which also makes subnormals right.
INLINE Float widen_f16(Half16 h) {
#if LOSSIMPL_BYTES == 64
  return _mm512_cvtph_ps(bits<__m256i>(h));
#elif LOSSIMPL_BYTES == 32
  return _mm256_cvtph_ps(bits<__m128i>(h));
#else
  Uint32 u = __builtin_convertvector(h, Uint32);
  Float magnitude = bits<Float>((u & 0x7fff) << 13) * 0x1p112f;
  Uint32 out = bits<Uint32>(magnitude);
  out = (u & 0x7c00) == 0x7c00 ? ((u & 0x7fff) << 13) | 0x7f800000 : out;
  return bits<Float>(out | ((u & 0x8000) << 16));
#endif
}

// float -> fp16, to nearest even: below 2^-14 an addition of 0.5 aligns the bits, above it the carry rounds.
INLINE Half16 narrow_f16(Float v) {
#if LOSSIMPL_BYTES == 64
  return bits<Half16>(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#elif LOSSIMPL_BYTES == 32
  return bits<Half16>(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#else
  Uint32 u = bits<Uint32>(v), sign = u & 0x80000000u, magnitude = u ^ sign;
  Uint32 tiny = bits<Uint32>(bits<Float>(magnitude) + 0.5f) - 0x3f000000u;
  Uint32 normal = (magnitude - 0x38000000u + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  Uint32 special = magnitude > 0x7f800000u ? Uint32{} + 0x7e00 : Uint32{} + 0x7c00;
  Uint32 out = magnitude >= 0x47800000u ? special : (magnitude < 0x38800000u ? tiny : normal);
  return __builtin_convertvector(out | (sign >> 16), Half16);
#endif
}

// bf16 is the upper half of a float.
#if LOSSIMPL_BYTES == 64
alignas(64) constexpr uint16_t kTwice[32] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7,
                                             8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15};
alignas(64) constexpr uint16_t kUpper[32] = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31};
#endif
INLINE Float widen_bf16(Half16 h) {
#if LOSSIMPL_BYTES == 64
  __m512i from = _mm512_castsi256_si512(bits<__m256i>(h));
  return bits<Float>(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, _mm512_load_si512(kTwice), from));
#else
  return bits<Float>(__builtin_convertvector(h, Uint32) << 16);
#endif
}

INLINE Half16 upper_half(Uint32 v) {
#if LOSSIMPL_BYTES == 64
  __m512i upper = _mm512_permutexvar_epi16(_mm512_load_si512(kUpper), bits<__m512i>(v));
  return bits<Half16>(_mm512_castsi512_si256(upper));
#else
  return __builtin_convertvector(v >> 16, Half16);
#endif
}
// To nearest even, by a carry into the upper half. A NaN stays one: its lower half is zero, since it was widened from
// bf16 or made by the processor, and does not carry.
INLINE Half16 narrow_bf16(Float v) {
  Uint32 u = bits<Uint32>(v);
  return upper_half(u + ((u >> 16 & 1) + 0x7fff));
}
// To nearest, and what is halfway away from zero.
INLINE Half16 narrow_bf16_away(Float v) { return upper_half(bits<Uint32>(v) + 0x8000); }

// How each dtype lies in memory: load and store whole vectors, or the first n lanes (0 < n < kLanes).
template <class M, class S>
struct Storage {
  using Math = M;
  using Element = S;
  using V = typename M::Vector;
  static constexpr int kLanes = M::kLanes;
};

struct F32 : Storage<Single, float> {
  static INLINE V load(const float* p) {
    V v;
    std::memcpy(&v, p, sizeof(V));
    return v;
  }
  static INLINE void store(float* p, V v) { std::memcpy(p, &v, sizeof(V)); }
  static INLINE void stream(float* p, V v) { store_stream(p, v); }
#if LOSSIMPL_BYTES == 64
  static INLINE V load(const float* p, int n) { return _mm512_maskz_loadu_ps(first16(n), p); }
  static INLINE void store(float* p, V v, int n) { _mm512_mask_storeu_ps(p, first16(n), v); }
#else
  static INLINE V load(const float* p, int n) {
    V v{};
    std::memcpy(&v, p, n * 4);
    return v;
  }
  static INLINE void store(float* p, V v, int n) { std::memcpy(p, &v, n * 4); }
#endif
};

struct F64 : Storage<Wide, double> {
  static INLINE V load(const double* p) {
    V v;
    std::memcpy(&v, p, sizeof(V));
    return v;
  }
  static INLINE void store(double* p, V v) { std::memcpy(p, &v, sizeof(V)); }
  static INLINE void stream(double* p, V v) { store_stream(p, v); }
#if LOSSIMPL_BYTES == 64
  static INLINE V load(const double* p, int n) { return _mm512_maskz_loadu_pd((__mmask8)first16(n), p); }
  static INLINE void store(double* p, V v, int n) { _mm512_mask_storeu_pd(p, (__mmask8)first16(n), v); }
#else
  static INLINE V load(const double* p, int n) {
    V v{};
    std::memcpy(&v, p, n * 8);
    return v;
  }
  static INLINE void store(double* p, V v, int n) { std::memcpy(p, &v, n * 8); }
#endif
};

template <Float (*widen)(Half16), Half16 (*narrow)(Float)>
struct Sixteen : Storage<Single, uint16_t> {
  static INLINE Half16 raw(const uint16_t* p, int n) {
#if LOSSIMPL_BYTES == 64
    return bits<Half16>(_mm256_maskz_loadu_epi16(first16(n), p));
#else
    Half16 h{};
    std::memcpy(&h, p, n * 2);
    return h;
#endif
  }
  static INLINE V load(const uint16_t* p) {
    Half16 h;
    std::memcpy(&h, p, sizeof(h));
    return widen(h);
  }
  static INLINE V load(const uint16_t* p, int n) { return widen(raw(p, n)); }
  static INLINE void store(uint16_t* p, V v) {
    Half16 h = narrow(v);
    std::memcpy(p, &h, sizeof(h));
  }
  static INLINE void stream(uint16_t* p, V v) { store_stream(p, narrow(v)); }
  static INLINE void store(uint16_t* p, V v, int n) {
#if LOSSIMPL_BYTES == 64
    _mm256_mask_storeu_epi16(p, first16(n), bits<__m256i>(narrow(v)));
#else
    Half16 h = narrow(v);
    std::memcpy(p, &h, n * 2);
#endif
  }
};
using BF16 = Sixteen<widen_bf16, narrow_bf16>;
using F16 = Sixteen<widen_f16, narrow_f16>;

// How what comes of an exp or a log is written: that it lies halfway is an accident, which bf16 then need not look for.
template <class S>
using Inexact = std::conditional_t<std::is_same_v<S, BF16>, Sixteen<widen_bf16, narrow_bf16_away>, S>;

template <class S>
INLINE bool aligned(const typename S::Element* p) {
  return reinterpret_cast<uintptr_t>(p) % (S::kLanes * sizeof(*p)) == 0;
}

// Calls f with the memory type of `dtype`.
template <class F>
INLINE auto with_storage(Dtype dtype, F f) {
  switch (dtype) {
    case Dtype::f64:
      return f(F64{});
    case Dtype::f32:
      return f(F32{});
    case Dtype::bf16:
      return f(BF16{});
    default:
      return f(F16{});
  }
}

// Calls f with the flag as a constant, which a loop need not ask for.
template <class F>
INLINE void with_flag(bool flag, F f) {
  flag ? f(std::true_type{}) : f(std::false_type{});
}

// Writes the first n lanes of v: past the cache where asked, which needs whole vectors and an aligned place.
template <class S>
INLINE void put(typename S::Element* to, typename S::V v, int n, bool stream) {
  if (n < S::kLanes) return S::store(to, v, n);
  stream ? S::stream(to, v) : S::store(to, v);
}

// Calls f(i, n, whole) over a row that is written at `to`: a short head up to alignment, whole vectors, a short tail.
template <class S, class F>
INLINE void aligned_walk(const typename S::Element* to, int64_t size, F f) {
  int64_t lead = (reinterpret_cast<uintptr_t>(to) / sizeof(*to)) % S::kLanes, i = 0;
  if (lead) {
    i = std::min<int64_t>(size, S::kLanes - lead);
    f(0, (int)i, false);
  }
  for (; i + S::kLanes <= size; i += S::kLanes) f(i, S::kLanes, true);
  if (i < size) f(i, (int)(size - i), false);
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
