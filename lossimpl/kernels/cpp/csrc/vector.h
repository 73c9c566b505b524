// Vectors of one register's width: arithmetic types, memory types (bf16 and fp16 widen to float), and sums in double.
#pragma once
#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr int kBytes = LOSSIMPL_BYTES;
typedef float Float __attribute__((vector_size(LOSSIMPL_BYTES)));
typedef double Double __attribute__((vector_size(LOSSIMPL_BYTES)));
typedef int32_t Int32 __attribute__((vector_size(LOSSIMPL_BYTES)));
typedef int64_t Int64 __attribute__((vector_size(LOSSIMPL_BYTES)));
typedef uint32_t Uint32 __attribute__((vector_size(LOSSIMPL_BYTES)));
typedef uint16_t Half16 __attribute__((vector_size(LOSSIMPL_BYTES / 2)));

template <class To, class From>
INLINE To bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "bits keeps the size");
  To out;
  std::memcpy(&out, &v, sizeof(To));
  return out;
}

// x - 0 keeps every value, the sign of zero too.
INLINE Float splat(float x, Float) { return x - Float{}; }
INLINE Double splat(double x, Double) { return x - Double{}; }

INLINE Float abs(Float v) { return bits<Float>(bits<Int32>(v) & 0x7fffffff); }
INLINE Double abs(Double v) { return bits<Double>(bits<Int64>(v) & 0x7fffffffffffffffLL); }

// A NaN in `v` stays: every comparison with it is false.
template <class V>
INLINE V at_least(V v, V low) { return v < low ? low : v; }
template <class V>
INLINE V at_most(V v, V high) { return v > high ? high : v; }
template <class V>
INLINE V max(V a, V b) { return a > b ? a : b; }
#if LOSSIMPL_BYTES == 64
template <>
INLINE Float at_least(Float v, Float low) { return _mm512_max_ps(low, v); }  // the second operand wins where one is NaN
template <>
INLINE Double at_least(Double v, Double low) { return _mm512_max_pd(low, v); }
template <>
INLINE Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
template <>
INLINE Double max(Double a, Double b) { return _mm512_max_pd(a, b); }
#endif

// Whether every lane is zero.
INLINE bool all_zero(Float v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_cmp_ps_mask(v, Float{}, _CMP_EQ_OQ) == 0xffff;
#elif LOSSIMPL_BYTES == 32
  return _mm256_movemask_ps(v == 0) == 0xff;
#else
  Int64 halves = bits<Int64>(v == 0);
  return (halves[0] & halves[1]) == -1;
#endif
}
INLINE bool all_zero(Double v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_cmp_pd_mask(v, Double{}, _CMP_EQ_OQ) == 0xff;
#elif LOSSIMPL_BYTES == 32
  return _mm256_movemask_pd(v == 0) == 0xf;
#else
  Int64 lanes = v == 0;
  return (lanes[0] & lanes[1]) == -1;
#endif
}

struct Single {
  using Scalar = float;
  using Vector = Float;
  using Bits = Int32;
  static constexpr int kLanes = kBytes / 4;
};
struct Wide {
  using Scalar = double;
  using Vector = Double;
  using Bits = Int64;
  static constexpr int kLanes = kBytes / 8;
};

template <class Math>
INLINE typename Math::Bits iota() {
  typename Math::Bits v{};
  for (int i = 0; i < Math::kLanes; i++) v[i] = i;
  return v;
}

template <class V>
INLINE double horizontal_sum(V v) {
  double total = 0;
  for (size_t i = 0; i < sizeof(V) / sizeof(v[0]); i++) total += v[i];
  return total;
}

template <class V>
INLINE auto horizontal_max(V v) {
  auto best = v[0];
  for (size_t i = 1; i < sizeof(V) / sizeof(v[0]); i++) best = v[i] > best ? v[i] : best;
  return best;
}
#if LOSSIMPL_BYTES == 64
template <>
INLINE auto horizontal_max(Float v) { return _mm512_reduce_max_ps(v); }
#endif

// A sum in double, lane by lane.
struct Total {
  Double sum{};
  INLINE void add(Double v) { sum += v; }
  INLINE void add(Float v) {
#if LOSSIMPL_BYTES == 64
    sum += (Double)_mm512_cvtps_pd(_mm512_castps512_ps256(v)) + (Double)_mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
#elif LOSSIMPL_BYTES == 32
    sum += (Double)_mm256_cvtps_pd(_mm256_castps256_ps128(v)) + (Double)_mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
#else
    sum += Double{v[0], v[1]} + Double{v[2], v[3]};
#endif
  }
  INLINE double total() const { return horizontal_sum(sum); }
};

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
INLINE Float widen_bf16(Half16 h) {
#if LOSSIMPL_BYTES == 64
  return (Float)_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits<__m256i>(h)), 16));
#else
  return bits<Float>(__builtin_convertvector(h, Uint32) << 16);
#endif
}

// To nearest even by a carry into the upper half; NaN stays quiet instead of carrying into infinity.
INLINE Half16 narrow_bf16(Float v) {
  Uint32 u = bits<Uint32>(v), rounded = u + 0x7fff + ((u >> 16) & 1);
  rounded = v != v ? Uint32{} + 0x7fc00000 : rounded;
#if LOSSIMPL_BYTES == 64
  return bits<Half16>(_mm512_cvtepi32_epi16(bits<__m512i>(rounded >> 16)));
#else
  return __builtin_convertvector(rounded >> 16, Half16);
#endif
}

// How each dtype lies in memory: load and store whole vectors, or the first n lanes (0 < n < kLanes).
template <class M, class S>
struct Storage {
  using Math = M;
  using Element = S;
  using V = typename M::Vector;
  static constexpr int kLanes = M::kLanes;
};

struct F32 : Storage<Single, float> {
  static INLINE V load(const float* p) { V v; std::memcpy(&v, p, sizeof(V)); return v; }
  static INLINE void store(float* p, V v) { std::memcpy(p, &v, sizeof(V)); }
  static INLINE void stream(float* p, V v) { store_stream(p, v); }
#if LOSSIMPL_BYTES == 64
  static INLINE V load(const float* p, int n) { return _mm512_maskz_loadu_ps(first16(n), p); }
  static INLINE void store(float* p, V v, int n) { _mm512_mask_storeu_ps(p, first16(n), v); }
#else
  static INLINE V load(const float* p, int n) { V v{}; std::memcpy(&v, p, n * 4); return v; }
  static INLINE void store(float* p, V v, int n) { std::memcpy(p, &v, n * 4); }
#endif
};

struct F64 : Storage<Wide, double> {
  static INLINE V load(const double* p) { V v; std::memcpy(&v, p, sizeof(V)); return v; }
  static INLINE void store(double* p, V v) { std::memcpy(p, &v, sizeof(V)); }
  static INLINE void stream(double* p, V v) { store_stream(p, v); }
#if LOSSIMPL_BYTES == 64
  static INLINE V load(const double* p, int n) { return _mm512_maskz_loadu_pd((__mmask8)first16(n), p); }
  static INLINE void store(double* p, V v, int n) { _mm512_mask_storeu_pd(p, (__mmask8)first16(n), v); }
#else
  static INLINE V load(const double* p, int n) { V v{}; std::memcpy(&v, p, n * 8); return v; }
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
  static INLINE V load(const uint16_t* p) { Half16 h; std::memcpy(&h, p, sizeof(h)); return widen(h); }
  static INLINE V load(const uint16_t* p, int n) { return widen(raw(p, n)); }
  static INLINE void store(uint16_t* p, V v) { Half16 h = narrow(v); std::memcpy(p, &h, sizeof(h)); }
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

template <class S>
INLINE bool aligned(const typename S::Element* p) {
  return reinterpret_cast<uintptr_t>(p) % (S::kLanes * sizeof(*p)) == 0;
}

// Calls f with the memory type of `dtype`.
template <class F>
INLINE auto with_storage(Dtype dtype, F f) {
  switch (dtype) {
    case Dtype::f64: return f(F64{});
    case Dtype::f32: return f(F32{});
    case Dtype::bf16: return f(BF16{});
    default: return f(F16{});
  }
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
