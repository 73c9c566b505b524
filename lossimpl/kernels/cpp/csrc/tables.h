// exp and logarithms of floats with AVX-512: a permutation of a register looks up the first bits of the answer, and a
// short polynomial gives the rest. Multiplications are what the losses spend their time on; this takes half as many as
// a polynomial over the whole range, with the same error of about one unit in the last place.
//
// The coefficients are minimax fits of the relative error of the function (weighted least squares, Lawson's iteration) of
//   (exp(r) - 1 - r) / r^2     on |r| <= ln(2) / 32
//   (log1p(d) - d) / d^2       on |d| <= 1/62, and on -1/64 <= d <= 1/32
// and of the floats near the inverse that a line names, its table holds the one whose logarithm lies nearest to a float.
#pragma once
#include "vector.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// 2^(j/16), as bits, less j 2^19: what adding k 2^19 for k = 16 n + j adds beside the exponent n.
alignas(64) constexpr uint32_t kPowers[16] = {
    0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
    0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
// 1 / (1 + j/31), the same less one (exact), and the logarithm of its inverse.
alignas(64) constexpr float kInverses[32] = {
    1.0f, 0.968767941f, 0.939416349f, 0.911786377f, 0.885729969f, 0.861097276f, 0.837825239f, 0.815806925f,
    0.794890225f, 0.77497685f, 0.75611645f, 0.738095522f, 0.720946312f, 0.704560816f, 0.688889146f, 0.673897624f,
    0.659573913f, 0.64583391f, 0.632670283f, 0.619999349f, 0.607826412f, 0.596153855f, 0.584906042f, 0.574087381f,
    0.563635468f, 0.553572178f, 0.543844879f, 0.534498572f, 0.525439024f, 0.516678154f, 0.50818187f, 0.500014961f};
alignas(64) constexpr float kInversesLessOne[32] = {
    0.0f, -0.031232059f, -0.0605836511f, -0.0882136226f, -0.114270031f, -0.138902724f, -0.162174761f, -0.184193075f,
    -0.205109775f, -0.22502315f, -0.24388355f, -0.261904478f, -0.279053688f, -0.295439184f, -0.311110854f, -0.326102376f,
    -0.340426087f, -0.35416609f, -0.367329717f, -0.380000651f, -0.392173588f, -0.403846145f, -0.415093958f, -0.425912619f,
    -0.436364532f, -0.446427822f, -0.456155121f, -0.465501428f, -0.474560976f, -0.483321846f, -0.49181813f, -0.499985039f};
alignas(64) constexpr float kLogs[32] = {
    0.0f, 0.0317301787f, 0.062496502f, 0.0923495516f, 0.121343151f, 0.1495478f, 0.176945746f, 0.203577563f,
    0.229551256f, 0.254922122f, 0.27955988f, 0.303682029f, 0.327190608f, 0.350180626f, 0.372674912f, 0.394677073f,
    0.416161239f, 0.437212914f, 0.457805872f, 0.478036851f, 0.497865945f, 0.517256498f, 0.536304057f, 0.554973662f,
    0.573347569f, 0.591363132f, 0.609091222f, 0.62642622f, 0.64352113f, 0.660335124f, 0.676915884f, 0.693117261f};
// For a mantissa m in [3/4, 3/2) with first five bits j: the inverse of its interval's middle, but one on both sides of
// m = 1, so that log keeps its digits there; and the logarithm of the inverse's inverse.
alignas(64) constexpr float kMantissaInverses[32] = {
    1.0f, 0.955204308f, 0.927512527f, 0.901432097f, 0.876736104f, 0.853309929f, 0.831168473f, 0.810126841f,
    0.790123403f, 0.771061957f, 0.752955198f, 0.735610604f, 0.719100893f, 0.703278363f, 0.688191175f, 0.673683405f,
    1.31962168f, 1.29296112f, 1.26732635f, 1.2427001f, 1.21908402f, 1.19622624f, 1.17434633f, 1.15317214f,
    1.1327765f, 1.11301219f, 1.09398437f, 1.07561791f, 1.05781972f, 1.04061961f, 1.02403069f, 1.0f};
alignas(64) constexpr float kMantissaLogs[32] = {
    0.0f, 0.0458300263f, 0.075248979f, 0.103770562f, 0.131549239f, 0.158632457f, 0.18492277f, 0.210564449f,
    0.235566139f, 0.25998655f, 0.283749551f, 0.307054371f, 0.329753608f, 0.352002501f, 0.373688608f, 0.394995004f,
    -0.277345091f, -0.25693503f, -0.236909449f, -0.217286512f, -0.198099777f, -0.179171801f, -0.160711676f, -0.142516524f,
    -0.124671698f, -0.107070029f, -0.0898264125f, -0.0728952959f, -0.0562099256f, -0.0398163162f, -0.0237464923f, 0.0f};

INLINE Float look_up(const float* table, __m512i j) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), j, _mm512_load_ps(table + 16));
}

// exp(x) for -87 < x < 88, where it is neither subnormal nor infinite: x = k ln(2)/16 + r.
INLINE Float exp_normal(Float x) {
  constexpr float shift = 0x1.8p23f;  // adding it rounds to an integer, in the low bits
  Float t = x * 23.0831207f + shift, k = t - shift, r = (x - k * 0.0433197021f) - k * 1.99663656e-06f;
  __m512i power = _mm512_permutexvar_epi32(bits<__m512i>(t), _mm512_load_si512(kPowers));
  Float scale = bits<Float>((Int32)power + (bits<Int32>(t) << 19));
  Float tail = (r * 0.1666706161f + 0.5000168429f) * (r * r) + r;
  return scale * tail + scale;
}

// log1p(e) for 0 <= e <= 1: 1 + e = (1 + d) / inverse.
INLINE Float log1p_looked_up(Float e) {
  __m512i j = bits<__m512i>(e * 31.0f + 0x1.8p23f);
  Float d = e * look_up(kInverses, j) + look_up(kInversesLessOne, j);
  Float tail = (d * -0.2500470137f + 0.3333773098f) * d - 0.4999999981f;
  return (tail * (d * d) + d) + look_up(kLogs, j);
}

// log(x) + correction for x > 0, x = m 2^k.
INLINE Float log_looked_up(Float x, Float correction) {
  Float m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
  Float k = (Float)_mm512_getexp_ps(x) - (Float)_mm512_getexp_ps(m);
  __m512i j = bits<__m512i>(bits<Uint32>(m) >> 18);
  Float d = m * look_up(kMantissaInverses, j) - 1;
  Float tail = ((d * 0.1940303288f - 0.2500168781f) * d + 0.3333348305f) * d - 0.5000000007f;
  Float rest = (tail * (d * d) + (k * -2.12194440e-4f + correction)) + d;
  return k * 0.693359375f + (look_up(kMantissaLogs, j) + rest);
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
