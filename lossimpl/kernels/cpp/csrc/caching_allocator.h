// Memory for large gradients, cached when it is freed for the next call that needs as much.
#pragma once
#include <c10/core/Allocator.h>

namespace lossimpl {

// Buffers of at least this size are cached, and advised to use huge pages.
constexpr size_t kMinCachedBytes = size_t(4) << 20;

// An allocator of CPU memory. Freed blocks stay with the process, up to 1 GiB in total, and the least recently freed is
// evicted first; the operating system may reclaim their pages under memory pressure.
c10::Allocator* caching_allocator();

}  // namespace lossimpl
