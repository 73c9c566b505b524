// Memory for large gradients, kept when it is freed for the next call that asks for as much.
#pragma once
#include <c10/core/Allocator.h>

namespace lossimpl {

// Buffers of at least this size are kept, and lie on large pages.
constexpr size_t kLarge = size_t(4) << 20;

// An allocator of CPU memory. What is freed to it stays with the process, up to 1 GiB together, the least recently
// freed going first; the system may take the pages back where memory runs short.
c10::Allocator* kept_memory();

}  // namespace lossimpl
