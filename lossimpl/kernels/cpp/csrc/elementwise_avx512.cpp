#if defined(__x86_64__)
#include "isa_avx512.h"  // first: it says what the rest is compiled for

#include "elementwise.h"
#endif
