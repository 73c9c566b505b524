// Tensors as the kernels need them: one dtype, one dense layout, memory for results, sums in a fixed order.
#pragma once
#include <ATen/Parallel.h>

#include "call.h"
#include "kernels.h"

namespace lossimpl {

Dtype dtype_of(const Tensor& t);

// Uninitialised, laid out as empty_like lays it out; a large one in memory that is kept when it is freed.
Tensor fresh_like(const Tensor& t);

// t with the strides that empty_like(model) has: itself where it has them, else a copy. t must have model's shape.
Tensor laid_out_like(const Tensor& t, const Tensor& model);

inline bool has_value(const OptionalTensor& t) { return t.has_value() && t->defined(); }

// A 0-d tensor of that dtype, rounded once from double.
Tensor scalar(double value, at::ScalarType dtype);

// Writes beyond this many bytes go past the cache.
constexpr int64_t kStreamBytes = int64_t(16) << 20;

// Adds in pairs: the error grows with the logarithm of n, the order with nothing but n.
double pairwise_sum(const double* values, int64_t n);

// f(begin, end) for fixed chunks of [0, n), `at_once` of them a task; returns the sum of what f returns, whatever the
// threads.
template <class F>
double sum_chunks(int64_t n, int64_t chunk, int64_t at_once, const F& f) {
  int64_t chunks = (n + chunk - 1) / chunk;
  if (chunks <= 1) return n ? f(int64_t(0), n) : 0.0;
  std::vector<double> sums(chunks);
  at::parallel_for(0, chunks, at_once, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) sums[i] = f(i * chunk, std::min(n, (i + 1) * chunk));
  });
  return pairwise_sum(sums.data(), chunks);
}

}  // namespace lossimpl
