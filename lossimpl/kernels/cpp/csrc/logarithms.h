// Logarithms on vectors, to about one unit in the last place.
//
// The coefficients are minimax fits of the relative error (Remez exchange in 60 digits) of
//   (log1p(e) - e) / e^2                    on 0 <= e <= 1, and on 0 <= e <= exp(-2)
//   (log1p(f) - f + f^2/2) / f^3            on sqrt(1/2) <= 1 + f <= 3/2
//   (log((1+s)/(1-s)) - 2 s) / s, in s^2    on |s| <= 0.1716, which is s = f / (2 + f) for 1 + f < sqrt(2)
//   log(cosh(d)) / d^2, in d^2              on |d| <= 1
#pragma once
#include "math.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr double kLog2 = 0.6931471805599453;

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

// log(x) + correction for x > 0; x = m 2^k. The caller handles values that are not positive.
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
