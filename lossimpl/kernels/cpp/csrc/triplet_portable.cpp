#include "isa_portable.h"
#include "triplet.h"
