// AVX-512: 64-byte vectors. Headers are included first, so that no shared inline function is compiled for it.
#pragma once
#include "includes.h"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define LOSSIMPL_ISA avx512
#define LOSSIMPL_BYTES 64
