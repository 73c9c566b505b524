// 16-byte vectors that every compiler lowers to what the machine has: SSE2, NEON.
#pragma once
#include "includes.h"
#define LOSSIMPL_ISA portable
#define LOSSIMPL_BYTES 16
