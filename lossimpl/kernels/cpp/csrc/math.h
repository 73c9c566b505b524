// exp, and divisions, on vectors, to about one unit in the last place.
//
// The coefficients are minimax fits of the relative error (Remez exchange in 60 digits) of
//   (exp(r) - 1 - r) / r^2    on |r| <= ln(2)/2
#pragma once
#include "vector.h"
#if LOSSIMPL_BYTES == 64
#include "avx512_tables.h"
#endif

namespace lossimpl {
namespace LOSSIMPL_ISA {

template <class V, class T, int N>
INLINE V polynomial(V x, const T (&c)[N]) {
  V sum = splat(c[N - 1], x);
  for (int i = N - 2; i >= 0; i--) sum = sum * x + c[i];
  return sum;
}

INLINE Float round_even(Float v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif LOSSIMPL_BYTES == 32
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return (v + 0x1.8p23f) - 0x1.8p23f;
#endif
}
INLINE Double round_even(Double v) {
#if LOSSIMPL_BYTES == 64
  return _mm512_roundscale_pd(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif LOSSIMPL_BYTES == 32
  return _mm256_round_pd(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return (v + 0x1.8p52) - 0x1.8p52;
#endif
}

// v * 2^n, correct also where 2^n alone is subnormal: in two factors.
INLINE Float scale_by_power(Float v, Float n) {
#if LOSSIMPL_BYTES == 64
  return _mm512_scalef_ps(v, n);
#else
  Int32 k = __builtin_convertvector(n, Int32), half = k >> 1;
  return v * bits<Float>((half + 127) << 23) * bits<Float>((k - half + 127) << 23);
#endif
}
INLINE Double scale_by_power(Double v, Double n) {
#if LOSSIMPL_BYTES == 64
  return _mm512_scalef_pd(v, n);
#else
  Int64 k = bits<Int64>(n + 0x1.8p52) - bits<Int64>(splat(0x1.8p52, n));
  Int64 half = bits<Int64>(round_even(n * 0.5) + 0x1.8p52) - bits<Int64>(splat(0x1.8p52, n));
  return v * bits<Double>((half + 1023) << 52) * bits<Double>((k - half + 1023) << 52);
#endif
}

template <class V>
struct Reduced {
  V n, r;
};

// x = n ln 2 + r, |r| <= ln(2)/2. x is bounded below where exp rounds to zero, so that -inf gives 0; NaN stays NaN.
INLINE Reduced<Float> reduce(Float x) {
  x = at_least(x, splat(-104.0f, x));
  Float n = round_even(x * 1.44269504f);
  return {n, (x - n * 0.693359375f) - n * -2.12194440e-4f};
}
INLINE Reduced<Double> reduce(Double x) {
  x = at_least(x, splat(-746.0, x));
  Double n = round_even(x * 1.4426950408889634);
  return {n, (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10};
}

// exp(r) - 1 on the reduced range.
INLINE Float expm1_reduced(Float r) {
  constexpr float c[] = {0.4999999337f, 0.1666651952f, 0.04166840079f, 0.008368851178f, 0.001381433617f};
  return polynomial(r, c) * (r * r) + r;
}
INLINE Double expm1_reduced(Double r) {
  constexpr double c[] = {0.5000000000000000045,     0.1666666666666668375,   0.0416666666666660871,
                          0.008333333333316778555,   0.001388888888911783488, 0.000198412698970277961,
                          0.00002480158692426159531, 2.755723420816220081e-6, 2.755758247887750171e-7,
                          2.511226813583658119e-8,   2.082680707541732148e-9};
  return polynomial(r, c) * (r * r) + r;
}

template <class V>
INLINE V exp_any(V x) {
  auto [n, r] = reduce(x);
  return scale_by_power(expm1_reduced(r) + 1, n);
}

// exp(x) for x up to 80 (float) or 700 (double): the losses use it only where it cannot overflow. The bits of an
// element do not depend on its neighbours.
template <class V>
INLINE V exp(V x) {
#if LOSSIMPL_BYTES == 64
  if constexpr (std::is_same_v<V, Float>) {
    __mmask16 normal = _mm512_cmp_ps_mask(x, splat(-87.0f, x), _CMP_GT_OQ);
    if (__builtin_expect(normal == 0xffff, 1)) return exp_normal(x);
    return _mm512_mask_blend_ps(normal, exp_any(x), exp_normal(x));
  }
#endif
  return exp_any(x);
}

// exp(x) for -87 < x < 88: neither subnormal nor infinite.
INLINE Float exp_plain(Float x) {
#if LOSSIMPL_BYTES == 64
  return exp_normal(x);
#else
  return exp(x);
#endif
}
INLINE Double exp_plain(Double x) { return exp(x); }

// exp(x) - 1 for x <= 0; below -87 it is -1 in float. The low bits of t hold n, which is shifted into the exponent.
INLINE Float expm1(Float x) {
  x = at_least(x, splat(-87.0f, x));
  Float t = x * 1.44269504f + 0x1.8p23f, n = t - 0x1.8p23f, r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Float power = bits<Float>((bits<Int32>(t) << 23) + 0x3f800000);
  return power * expm1_reduced(r) + (power - 1);
}
INLINE Double expm1(Double x) {
  auto [n, r] = reduce(x);
  Double power = scale_by_power(splat(1.0, x), n);
  return power * expm1_reduced(r) + (power - 1);
}

// 1 / v for normal v > 0 below 2^126, to one unit in the last place: a 14-bit estimate and a Newton step.
INLINE Float reciprocal(Float v) {
#if LOSSIMPL_BYTES == 64
  Float estimate = _mm512_rcp14_ps(v);
  return estimate + estimate * (1 - v * estimate);
#else
  return 1 / v;
#endif
}
INLINE Double reciprocal(Double v) { return 1 / v; }

// v / d for normal d, correctly rounded but for rare cases: the remainder of the first quotient is divided again.
INLINE Float quotient(Float v, Float d) {
#if LOSSIMPL_BYTES == 64
  Float inverse = reciprocal(d), first = v * inverse;
  return first + (v - first * d) * inverse;
#else
  return v / d;
#endif
}
INLINE Double quotient(Double v, Double d) { return v / d; }

// p (1 - p) for p in [0, 1] and u = 1 - p, rounded once where the processor has fused multiply-add.
template <class V>
INLINE V bernoulli_variance(V p, V u) {
  return LOSSIMPL_BYTES >= 32 ? p - p * p : u * p;
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
