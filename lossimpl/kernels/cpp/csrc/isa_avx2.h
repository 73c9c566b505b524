// AVX2 with FMA and F16C: 32-byte vectors. Headers are included first, so that no shared inline function is compiled
// for it.
#pragma once
#include "includes.h"
#pragma GCC target("avx2,fma,f16c")
#define LOSSIMPL_ISA avx2
#define LOSSIMPL_BYTES 32
