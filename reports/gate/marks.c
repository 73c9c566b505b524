/* Start and end of counting under Callgrind, called from Python through ctypes; without effect outside Valgrind. */
#include <valgrind/callgrind.h>

void begin(void) {
    CALLGRIND_START_INSTRUMENTATION; /* once on it stays on: each switch has Valgrind translate everything anew */
    CALLGRIND_ZERO_STATS;
}

void end(const char *label) {
    CALLGRIND_DUMP_STATS_AT(label);
}
