// Vectors as wide as a register: arithmetic types, masks, maxima, and sums in double.
#pragma once
#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr int kBytes = LOSSIMPL_BYTES;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
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

// x - 0 preserves every value, including the sign of zero.
INLINE Float splat(float x, Float) { return x - Float{}; }
INLINE Double splat(double x, Double) { return x - Double{}; }

INLINE Float abs(Float v) { return bits<Float>(bits<Int32>(v) & 0x7fffffff); }
INLINE Double abs(Double v) { return bits<Double>(bits<Int64>(v) & 0x7fffffffffffffffLL); }

INLINE Float minus_abs(Float v) { return bits<Float>(bits<Int32>(v) | INT32_MIN); }
INLINE Double minus_abs(Double v) { return bits<Double>(bits<Int64>(v) | INT64_MIN); }

INLINE Int32 as_int(Float v) { return bits<Int32>(v); }
INLINE Int64 as_int(Double v) { return bits<Int64>(v); }

// All ones in the lanes whose sign bit is set. A comparison would occupy the execution ports of multiplications, which
// are the bottleneck of the formulas; shifts, additions and maxima use other ports (measured on Zen 4).
INLINE Int32 negative(Int32 v) { return v >> 31; }
INLINE Int64 negative(Int64 v) { return v >> 63; }

// `yes` where the mask is all ones, `no` where it is zero.
template <class M, class V>
INLINE V select(M mask, V yes, V no) {
#if LOSSIMPL_BYTES == 64
  return bits<V>(_mm512_ternarylogic_epi32(bits<__m512i>(mask), bits<__m512i>(yes), bits<__m512i>(no), 0xca));
#else
  return bits<V>((mask & bits<M>(yes)) | (~mask & bits<M>(no)));
#endif
}

// v with its sign flipped where the mask is all ones.
INLINE Float flip_sign(Int32 mask, Float v) { return bits<Float>(bits<Int32>(v) ^ (mask & INT32_MIN)); }
INLINE Double flip_sign(Int64 mask, Double v) { return bits<Double>(bits<Int64>(v) ^ (mask & INT64_MIN)); }

// NaN in `v` is preserved, since every comparison with it is false.
template <class V>
INLINE V at_least(V v, V low) {
  return v < low ? low : v;
}
template <class V>
INLINE V at_most(V v, V high) {
  return v > high ? high : v;
}
template <class V>
INLINE V max(V a, V b) {
  return a > b ? a : b;
}
#if LOSSIMPL_BYTES == 64
template <>
INLINE Float at_least(Float v, Float low) {
  return _mm512_max_ps(low, v);
}  // returns the second operand if either is NaN
template <>
INLINE Double at_least(Double v, Double low) {
  return _mm512_max_pd(low, v);
}
template <>
INLINE Float max(Float a, Float b) {
  return _mm512_max_ps(a, b);
}
template <>
INLINE Double max(Double a, Double b) {
  return _mm512_max_pd(a, b);
}
#endif

// a * b + c as fused multiply-add where the processor has it. Explicit, because of a * b + c * d a compiler fuses
// either product, and not the same one everywhere.
INLINE Float fused(Float a, Float b, Float c) {
#if LOSSIMPL_BYTES == 64
  return _mm512_fmadd_ps(a, b, c);
#elif LOSSIMPL_BYTES == 32
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
INLINE Double fused(Double a, Double b, Double c) {
#if LOSSIMPL_BYTES == 64
  return _mm512_fmadd_pd(a, b, c);
#elif LOSSIMPL_BYTES == 32
  return _mm256_fmadd_pd(a, b, c);
#else
  return a * b + c;
#endif
}

// Whether every lane is zero.
template <class Bits>
INLINE bool all_zero(Bits v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_test_epi32_mask(bits<__m512i>(v), bits<__m512i>(v)) == 0;
#elif LOSSIMPL_BYTES == 32
  return _mm256_testz_si256(bits<__m256i>(v), bits<__m256i>(v));
#else
  Int64 halves = bits<Int64>(v);
  return (halves[0] | halves[1]) == 0;
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

INLINE double horizontal_sum(Double v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_reduce_add_pd(v);
#else
  double total = 0;
  for (int i = 0; i < kBytes / 8; i++) total += v[i];
  return total;
#endif
}

template <class V>
INLINE auto horizontal_max(V v) {
  auto best = v[0];
  for (size_t i = 1; i < sizeof(V) / sizeof(v[0]); i++) best = v[i] > best ? v[i] : best;
  return best;
}
#if LOSSIMPL_BYTES == 64
template <>
INLINE auto horizontal_max(Float v) {
  return _mm512_reduce_max_ps(v);
}
#endif

// A sum in double, per lane. For doubles the rounding errors are summed as well (Knuth's two-sum); sums of floats have
// digits to spare.
struct Total {
  Double sum{}, rest{};
  INLINE void add(Double v) {
    Double before = sum, added;
    sum += v, added = sum - before;
    rest += (before - (sum - added)) + (v - added);
  }
  INLINE void add(Float v) {
#if LOSSIMPL_BYTES == 64
    sum += (Double)_mm512_cvtps_pd(_mm512_castps512_ps256(v)) + (Double)_mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
#elif LOSSIMPL_BYTES == 32
    sum += (Double)_mm256_cvtps_pd(_mm256_castps256_ps128(v)) + (Double)_mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
#else
    sum += Double{v[0], v[1]} + Double{v[2], v[3]};
#endif
  }
  INLINE void scale(double factor) { sum *= factor, rest *= factor; }
  INLINE double total() const {
    double all = horizontal_sum(sum);
    return std::isfinite(all) ? all + horizontal_sum(rest) : all;  // the error of an infinite sum is NaN
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
