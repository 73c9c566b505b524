// A new buffer of n bytes costs n / 4096 page faults, which at 64 MiB take several times as long as the loss. A
// training loop frees a gradient and allocates the same size in the next step, so freed buffers are cached.
#include "caching_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <mutex>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace lossimpl {
namespace {

constexpr size_t kMaxCachedBytes = size_t(1) << 30;

struct Block {
  void* data;
  size_t bytes;
};

// madvise for the whole pages of size `page` inside the block.
void advise(const Block& block, int advice, uintptr_t page) {
#if defined(__linux__)
  uintptr_t address = reinterpret_cast<uintptr_t>(block.data);
  uintptr_t begin = (address + page - 1) & ~(page - 1), end = (address + block.bytes) & ~(page - 1);
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
#endif
}

// The freed blocks, oldest first. In a process forked while another thread held the lock, waiting for it would block
// forever; so the lock is only tried, and on failure the system's allocator is used.
class BlockCache {
  std::mutex mutex;
  std::vector<Block> blocks;
  size_t total = 0;

  Block remove(size_t i) {
    Block block = blocks[i];
    blocks.erase(blocks.begin() + i);
    total -= block.bytes;
    return block;
  }

 public:
  // The smallest block that holds `bytes` and wastes at most a quarter of that; its data is null if there is none.
  Block acquire(size_t bytes) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    size_t best = blocks.size();
    for (size_t i = 0; lock && i < blocks.size(); i++) {
      bool fits = blocks[i].bytes >= bytes && blocks[i].bytes - bytes <= bytes / 4;
      if (fits && (best == blocks.size() || blocks[i].bytes < blocks[best].bytes)) best = i;
    }
    return lock && best < blocks.size() ? remove(best) : Block{nullptr, 0};
  }

  // Caches the block; returns the evicted blocks, which may be this one.
  std::vector<Block> put(Block block) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock || block.bytes > kMaxCachedBytes) return {block};
    std::vector<Block> evicted;
    blocks.push_back(block);
    total += block.bytes;
    while (total > kMaxCachedBytes) evicted.push_back(remove(0));
    return evicted;
  }
};

// Never destroyed: tensors may be freed after the library's static objects.
BlockCache& block_cache() {
  static BlockCache& only = *new BlockCache;
  return only;
}

void release(void* context) {
  Block block = *static_cast<Block*>(context);
  delete static_cast<Block*>(context);
  c10::profiledCPUMemoryReporter().Delete(block.data);
#if defined(MADV_FREE)
  static const uintptr_t page = sysconf(_SC_PAGESIZE);  // 64 KiB on some aarch64 systems
  advise(block, MADV_FREE, page);
#endif
  for (Block& evicted : block_cache().put(block)) c10::free_cpu(evicted.data);
}

struct CachingAllocator : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    Block block = block_cache().acquire(bytes);
    if (!block.data) {
      block = {c10::alloc_cpu(bytes), bytes};
#if defined(MADV_HUGEPAGE)
      advise(block, MADV_HUGEPAGE, uintptr_t(2) << 20);
#endif
    }
    c10::profiledCPUMemoryReporter().New(block.data, bytes);
    return {block.data, new Block(block), release, c10::Device(c10::kCPU)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

}  // namespace

c10::Allocator* caching_allocator() {
  static CachingAllocator& only = *new CachingAllocator;
  return &only;
}

}  // namespace lossimpl
