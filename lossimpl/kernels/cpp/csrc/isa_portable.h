// 16-byte vectors, which compilers lower to SSE2 or NEON.
#pragma once
#include "includes.h"
#define LOSSIMPL_ISA portable
#define LOSSIMPL_BYTES 16
