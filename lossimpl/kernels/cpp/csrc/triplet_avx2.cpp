#if defined(__x86_64__)
#include "isa_avx2.h"  // first: it says what the rest is compiled for

#include "triplet.h"
#endif
