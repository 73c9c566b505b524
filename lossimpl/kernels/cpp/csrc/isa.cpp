// Selects the instruction set at run time.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace lossimpl {
namespace {

#define LOSSIMPL_TABLE(isa) \
  const Kernels isa##_kernels = {#isa, isa::elementwise, isa::sum, isa::classes, isa::triplet};
LOSSIMPL_TABLE(portable)
#if defined(__x86_64__)
LOSSIMPL_TABLE(avx2)
LOSSIMPL_TABLE(avx512)

bool runs_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

const Kernels& choose() {
#if defined(__x86_64__)
  const char* named = std::getenv("LOSSIMPL_ISA");
  auto allowed = [&](const char* name) { return !named || !std::strcmp(named, name); };
  if (allowed("avx512") && runs_avx512()) return avx512_kernels;
  if (allowed("avx2") && runs_avx2()) return avx2_kernels;
#endif
  return portable_kernels;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace lossimpl
