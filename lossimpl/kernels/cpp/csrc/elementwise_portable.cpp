#include "isa_portable.h"
#include "elementwise.h"
