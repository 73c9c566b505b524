// exp and logarithms of floats with AVX-512: a register permutation looks up the leading bits of the result, and a
// short polynomial computes the rest. The losses spend most of their time on multiplications; this takes half as many
// as a polynomial over the whole range, with the same error of about one unit in the last place. A table of sixteen
// entries fits one register; a permutation of two registers would cost as much as a multiplication.
//
// The coefficients are minimax fits of the function's relative error (weighted least squares, Lawson's iteration) of
//   (exp(r) - 1 - r) / r^2     on |r| <= ln(2) / 32
//   (2^(r/16) - 1) / r         on |r| <= 1/2
//   (log1p(d) - d) / d^2       on |d| <= 1/30, and on -1/64 <= d <= 1/32
// Each inverse is the float, among those near the inverse that its line names, whose logarithm is closest to a float.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// The bits of 2^(j/16 - 88), minus j 2^19, which adding (k + 1408) 2^19 for k = 16 n + j adds besides the exponent n.
alignas(64) constexpr uint32_t kPowers[16] = {0x13800000, 0x137daac3, 0x137b95c2, 0x1379c3d3, 0x137837f0, 0x1376f532,
                                              0x1375fed7, 0x1375583f, 0x137504f3, 0x137508a4, 0x1375672a, 0x1376248c,
                                              0x137744fd, 0x1378ccdf, 0x137ac0c7, 0x137d257d};
// 1 / (1 + j/15), and the logarithm of its reciprocal.
alignas(64) constexpr float kInverses[16] = {
    1.0f,         0.937355638f, 0.882430851f, 0.83336246f,  0.789557159f, 0.749934256f, 0.71426338f,  0.681747198f,
    0.652025342f, 0.624905586f, 0.600147247f, 0.576873362f, 0.555670798f, 0.53559643f,  0.517325222f, 0.499969155f};
alignas(64) constexpr float kLogs[16] = {
    0.0f,        0.0646925196f, 0.125074849f, 0.182286605f, 0.236283049f, 0.287769735f, 0.336503506f, 0.383096367f,
    0.42767185f, 0.470154703f,  0.510580242f, 0.550132513f, 0.58757925f,  0.62437433f,  0.659083545f, 0.693208873f};
// The reciprocal of the midpoint of interval j of the mantissa range [47/64, 47/32), but 1 for the interval that
// contains 1, so that log keeps its digits there; and the logarithm of its reciprocal.
alignas(64) constexpr float kMantissaInverses[16] = {
    1.33357203f, 1.2802093f,   1.23096991f,  1.18511927f,  1.14280593f,  1.10353529f,  1.0664537f,   1.03251493f,
    1.0f,        0.941317141f, 0.888807893f, 0.842035592f, 0.800120592f, 0.761999667f, 0.727389693f, 0.695685983f};
alignas(64) constexpr float kMantissaLogs[16] = {-0.287861079f, -0.247023582f,  -0.2078024f,    -0.16984342f,
                                                 -0.133486584f, -0.0985189304f, -0.0643388405f, -0.0319975056f,
                                                 0.0f,          0.0604751706f,  0.11787416f,    0.171932995f,
                                                 0.222992823f,  0.271809161f,   0.318292916f,   0.362856895f};

INLINE Float look_up(const float* table, __m512i j) { return _mm512_permutexvar_ps(j, _mm512_load_ps(table)); }

constexpr float kMiddle = 0x1.8p23f + 1408;  // adding it rounds to a whole number, which lands in the low bits
constexpr float kUnits = 23.08312f;          // 16 / ln(2)

// 2^(k/16) for t = k + kMiddle.
INLINE Float power_of(Float t) {
  __m512i power = _mm512_permutexvar_epi32(bits<__m512i>(t), _mm512_load_si512(kPowers));
  return bits<Float>((Int32)power + (bits<Int32>(t) << 19));
}

// exp(x) for -87 < x < 88, where it is neither subnormal nor infinite: x = k ln(2)/16 + r.
INLINE Float exp_normal(Float x) {
  Float t = x * kUnits + kMiddle, k = t - kMiddle, scale = power_of(t);
  Float r = (x - k * 0.0433197021f) - k * 1.99663656e-06f;
  return scale * ((r * 0.1666706161f + 0.5000168429f) * (r * r) + r) + scale;
}

// exp(x - reference) where the reference is K units of 1 / kUnits with K an integer: no subtraction comes first, and
// only the remainder is rounded. `base` is kMiddle - K. Out of range are NaN and what is outside [-1408, 640) units.
INLINE Float in_units(Float x, Float base) { return x * kUnits + base; }
INLINE Int32 out_of_range(Float t) { return (bits<Int32>(t) ^ 0x4b400000) & ~0x7ff; }

// The same for N vectors; returns whether all are in range. SHORT: accurate to 2^-21, enough for half precision. Each
// step is done for all vectors before the next one: the reorder window covers few vectors, and one chain of dependent
// steps after another would stall (measured on Zen 4).
template <bool SHORT, int N>
INLINE bool exp_anchored(const Float (&x)[N], Float base, Float (&out)[N]) {
  Float t[N], r[N], scale[N];
  __m512i outside = _mm512_setzero_si512();
  for (int i = 0; i < N; i++) t[i] = in_units(x[i], base);
  for (int i = 0; i < N; i++)  // odd |= t ^ 0x4b400000
    outside = _mm512_ternarylogic_epi32(outside, bits<__m512i>(t[i]), _mm512_set1_epi32(0x4b400000), 0xf6);
  for (int i = 0; i < N; i++) r[i] = x[i] * kUnits - (t[i] - base);
  for (int i = 0; i < N; i++) scale[i] = power_of(t[i]);
  for (int i = 0; i < N; i++) {
    out[i] = SHORT ? r[i] * 0.00093838456f + 0.043324243f : (r[i] * 1.3550324e-05f + 0.0009384153f) * r[i] + 0.0433217f;
    out[i] = out[i] * r[i];
  }
  for (int i = 0; i < N; i++) out[i] = scale[i] * out[i] + scale[i];
  return _mm512_test_epi32_mask(outside, _mm512_set1_epi32(~0x7ff)) == 0;
}

// log1p(e) for 0 <= e <= 1: 1 + e = (1 + d) / inverse, and inverse - 1 is exact.
INLINE Float log1p_looked_up(Float e) {
  __m512i j = bits<__m512i>(e * 15.0f + 0x1.8p23f);
  Float inverse = look_up(kInverses, j), d = e * inverse + (inverse - 1), square = d * d;
  Float tail = (d * 0.1990947502f - 0.250208214f) * square + (d * 0.3333341509f - 0.4999999523f);
  return (tail * square + d) + look_up(kLogs, j);
}

// log(x) + correction for normal x > 0, x = m 2^k.
INLINE Float log_normal(Float x, Float correction) {
  constexpr int32_t lowest = 0x3f3c0000;  // 47/64
  Int32 i = bits<Int32>(x), above = i - lowest;
  Float m = bits<Float>(i - (above & ~0x7fffff)), k = __builtin_convertvector(above >> 23, Float);
  __m512i j = bits<__m512i>(above >> 19);
  Float d = m * look_up(kMantissaInverses, j) - 1, square = d * d;
  Float tail = (d * 0.1990503052f - 0.2501801811f) * square + (d * 0.3333340589f - 0.4999999645f);
  return k * 0.693147181f + ((tail * square + d + correction) + look_up(kMantissaLogs, j));
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
