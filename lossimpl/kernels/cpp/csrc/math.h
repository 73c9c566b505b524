// exp, log and what follows from them, on vectors, to about one unit in the last place.
//
// The coefficients are minimax fits of the relative error (Remez exchange in 60 digits) of
//   (exp(r) - 1 - r) / r^2                  on |r| <= ln(2)/2
//   (log1p(e) - e) / e^2                    on 0 <= e <= 1, and on 0 <= e <= exp(-2)
//   (log1p(f) - f + f^2/2) / f^3            on sqrt(1/2) <= 1 + f <= 3/2
//   (log((1+s)/(1-s)) - 2 s) / s, in s^2    on |s| <= 0.1716, which is s = f / (2 + f) for 1 + f < sqrt(2)
//   log(cosh(d)) / d^2, in d^2              on |d| <= 1
#pragma once
#include "vector.h"
#if LOSSIMPL_BYTES == 64
#include "tables.h"
#endif

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kLog2 = 0.6931471805599453;

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

// v * 2^n, also where 2^n alone is subnormal: in two factors.
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

// x = n ln 2 + r, |r| <= ln(2)/2. At the lower bound exp rounds to zero, so that -inf gives 0; NaN stays.
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

// exp(x) for x up to 80 (float) or 700 (double): the losses ask only for arguments that cannot overflow.
template <class V>
INLINE V exp(V x) {
#if LOSSIMPL_BYTES == 64
  if constexpr (std::is_same_v<V, Float>)
    if (__builtin_expect(_mm512_cmp_ps_mask(x, splat(-87.0f, x), _CMP_GT_OQ) == 0xffff, 1)) return exp_normal(x);
#endif
  auto [n, r] = reduce(x);
  return scale_by_power(expm1_reduced(r) + 1, n);
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

// exp(x) - 1 for x <= 0; below -87 it is -1 in float. n lands in the low bits of t, from where it moves into 2^n.
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

// log(m) for sqrt(1/2) <= m <= 3/2 (Double: < sqrt(2)), plus k ln 2, plus a small correction.
INLINE Float log_parts(Float m, Float k, Float correction) {
  constexpr float c[] = {0.3333331915f,  -0.2500026973f, 0.2000178721f,  -0.1665402812f, 0.1421604885f,
                         -0.1263680415f, 0.121297352f,   -0.1045713962f, 0.04806651291f};
  Float f = m - 1, square = f * f;
  Float tail = polynomial(f, c) * (square * f) - 0.5f * square + (k * -2.12194440e-4f + correction);
  return k * 0.693359375f + (f + tail);
}
INLINE Double log_parts(Double m, Double k, Double correction) {
  constexpr double c[] = {0.6666666666666734623, 0.3999999999941311275, 0.2857142874276932338, 0.2222219853083850956,
                          0.1818356668217042897, 0.1531398649760134861, 0.1479662677081045478};
  Double f = m - 1, s = f / (f + 2), z = s * s, half = 0.5 * f * f;
  Double tail = s * (half + z * polynomial(z, c)) + (k * 1.90821492927058770002e-10 + correction);
  return k * 6.93147180369123816490e-01 - ((half - tail) - f);
}

// log(x) + correction for x > 0; x = m 2^k. What is not positive is for the caller to sort out.
INLINE Float log_positive(Float x, Float correction) {
  Int32 subnormal = x < 0x1p-126f;
  x = subnormal ? x * 0x1p25f : x;
#if LOSSIMPL_BYTES == 64
  return log_normal(x, correction) - (subnormal ? splat(25 * (float)kLog2, x) : Float{});
#else
  Int32 i = bits<Int32>(x), k = (i - 0x3f3504f3) >> 23;
  Float m = bits<Float>(i - (k << 23));
  k -= subnormal & 25;
  return log_parts(m, __builtin_convertvector(k, Float), correction);
#endif
}
// log(x) + correction for normal x > 0.
INLINE Float log_plain(Float x, Float correction) {
#if LOSSIMPL_BYTES == 64
  return log_normal(x, correction);
#else
  return log_positive(x, correction);
#endif
}

INLINE Double log_positive(Double x, Double correction) {
  Int64 subnormal = x < 0x1p-1022;
  x = subnormal ? x * 0x1p54 : x;
  Int64 i = bits<Int64>(x), k = (i - 0x3fe6a09e667f3bcdLL) >> 52;
  Double m = bits<Double>(i - (k << 52));
  k -= subnormal & 54;
  return log_parts(m, __builtin_convertvector(k, Double), correction);
}
INLINE Double log_plain(Double x, Double correction) { return log_positive(x, correction); }

// 1 / v for normal v > 0 below 2^126, to one unit in the last place: an estimate to 14 bits and a step of Newton's.
INLINE Float reciprocal(Float v) {
#if LOSSIMPL_BYTES == 64
  Float estimate = _mm512_rcp14_ps(v);
  return estimate + estimate * (1 - v * estimate);
#else
  return 1 / v;
#endif
}
INLINE Double reciprocal(Double v) { return 1 / v; }

// v / d for normal d, but for rare cases rounded as a division: what the first quotient leaves is divided again.
INLINE Float quotient(Float v, Float d) {
#if LOSSIMPL_BYTES == 64
  Float inverse = reciprocal(d), first = v * inverse;
  return first + (v - first * d) * inverse;
#else
  return v / d;
#endif
}
INLINE Double quotient(Double v, Double d) { return v / d; }

// log1p(e) for 0 <= e <= 1.
INLINE Float log1p_unit(Float e) {
#if LOSSIMPL_BYTES == 64
  return log1p_looked_up(e);
#endif
  constexpr float c[] = {-0.4999993276f, 0.3333051134f,   -0.2495858746f, 0.1969540022f,   -0.1535539436f,
                         0.1068055103f,  -0.05766439149f, 0.02020455354f, -0.003318465032f};
  return polynomial(e, c) * (e * e) + e;
}
INLINE Double log1p_unit(Double e) {
  Double u = e + 1;
  return log_positive(u, (e - (u - 1)) / u);
}

// log1p(e) for 0 <= e <= exp(-2).
INLINE Float log1p_tail(Float e) {
  constexpr float c[] = {-0.4999943572f, 0.333019206f, -0.2439459254f, 0.1499388895f};
  return polynomial(e, c) * (e * e) + e;
}
INLINE Double log1p_tail(Double e) { return log1p_unit(e); }

// log(cosh(d)) for |d| <= 1, in z = d^2.
INLINE Float log_cosh_small(Float z) {
  constexpr float c[] = {0.4999999966f,   -0.08333299251f,   0.02221657505f, -0.006710438344f,
                         0.002077347758f, -0.0005562263297f, 8.657118144e-5f};
  return polynomial(z, c) * z;
}
INLINE Double log_cosh_small(Double z) {
  constexpr double c[] = {
      0.4999999999999999996,     -0.08333333333333314287,    0.02222222222220580475,   -0.006746031745471314462,
      0.002186948843546180334,   -0.0007386028511079955794,  0.0002565797863274623991, -0.00009098572170988865177,
      0.00003276522655835066586, -0.00001191937317391521873, 4.33243767563974702e-6,   -1.529301075068349999e-6,
      4.932924732043304176e-7,   -1.310982670022545758e-7,   2.439117244514947821e-8,  -2.292793572911312164e-9};
  return polynomial(z, c) * z;
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
