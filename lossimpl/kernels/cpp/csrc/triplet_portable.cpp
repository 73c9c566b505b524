#include "isa_portable.h"  // first: it says what the rest is compiled for

#include "triplet.h"
