// exp and logarithms of floats with AVX-512: a permutation of a register looks up the first bits of the answer, and a
// short polynomial gives the rest. Multiplications are what the losses spend their time on; this takes half as many as
// a polynomial over the whole range, with the same error of about one unit in the last place. Sixteen entries are one
// register: a permutation of two would cost as much as a multiplication.
//
// The coefficients are minimax fits of the function's relative error (weighted least squares, Lawson's iteration) of
//   (exp(r) - 1 - r) / r^2     on |r| <= ln(2) / 32
//   (log1p(d) - d) / d^2       on |d| <= 1/30, and on -1/64 <= d <= 1/32
// and of the floats near the inverse that a line names, its table holds that whose logarithm lies nearest to a float.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// 2^(j/16), as bits, less j 2^19: what adding k 2^19 for k = 16 n + j adds beside the exponent n.
alignas(64) constexpr uint32_t kPowers[16] = {
    0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
    0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
// 1 / (1 + j/15), and the logarithm of its inverse.
alignas(64) constexpr float kInverses[16] = {
    1.0f, 0.937355638f, 0.882430851f, 0.83336246f, 0.789557159f, 0.749934256f, 0.71426338f, 0.681747198f,
    0.652025342f, 0.624905586f, 0.600147247f, 0.576873362f, 0.555670798f, 0.53559643f, 0.517325222f, 0.499969155f};
alignas(64) constexpr float kLogs[16] = {
    0.0f, 0.0646925196f, 0.125074849f, 0.182286605f, 0.236283049f, 0.287769735f, 0.336503506f, 0.383096367f,
    0.42767185f, 0.470154703f, 0.510580242f, 0.550132513f, 0.58757925f, 0.62437433f, 0.659083545f, 0.693208873f};
// The inverse of the middle of interval j of a mantissa in [47/64, 47/32), but one where 1 lies in it, so that log
// keeps its digits there; and the logarithm of the inverse's inverse.
alignas(64) constexpr float kMantissaInverses[16] = {
    1.33357203f, 1.2802093f, 1.23096991f, 1.18511927f, 1.14280593f, 1.10353529f, 1.0664537f, 1.03251493f,
    1.0f, 0.941317141f, 0.888807893f, 0.842035592f, 0.800120592f, 0.761999667f, 0.727389693f, 0.695685983f};
alignas(64) constexpr float kMantissaLogs[16] = {
    -0.287861079f, -0.247023582f, -0.2078024f, -0.16984342f,
    -0.133486584f, -0.0985189304f, -0.0643388405f, -0.0319975056f,
    0.0f, 0.0604751706f, 0.11787416f, 0.171932995f,
    0.222992823f, 0.271809161f, 0.318292916f, 0.362856895f};

INLINE Float look_up(const float* table, __m512i j) { return _mm512_permutexvar_ps(j, _mm512_load_ps(table)); }

// exp(x) for -87 < x < 88, where it is neither subnormal nor infinite: x = k ln(2)/16 + r. One step is taken for all
// vectors before the next: a core looks only a few vectors ahead, and one chain of steps after another would leave it
// waiting (measured on Zen 4).
template <int N>
INLINE void exp_normal(const Float (&x)[N], Float (&out)[N]) {
  constexpr float shift = 0x1.8p23f;  // adding it rounds to an integer, in the low bits
  Float t[N], k[N], r[N], scale[N];
  for (int i = 0; i < N; i++) t[i] = x[i] * 23.0831207f + shift;
  for (int i = 0; i < N; i++) k[i] = t[i] - shift;
  for (int i = 0; i < N; i++) r[i] = x[i] - k[i] * 0.0433197021f;
  for (int i = 0; i < N; i++) r[i] = r[i] - k[i] * 1.99663656e-06f;
  for (int i = 0; i < N; i++) {
    __m512i power = _mm512_permutexvar_epi32(bits<__m512i>(t[i]), _mm512_load_si512(kPowers));
    scale[i] = bits<Float>((Int32)power + (bits<Int32>(t[i]) << 19));
  }
  for (int i = 0; i < N; i++) out[i] = r[i] * 0.1666706161f + 0.5000168429f;
  for (int i = 0; i < N; i++) out[i] = out[i] * (r[i] * r[i]) + r[i];
  for (int i = 0; i < N; i++) out[i] = scale[i] * out[i] + scale[i];
}
INLINE Float exp_normal(Float x) {
  Float in[1] = {x}, out[1];
  exp_normal(in, out);
  return out[0];
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
