#include "isa_portable.h"
#include "classes.h"
