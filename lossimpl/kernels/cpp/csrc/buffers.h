// Tensors as the kernels need them: one dtype, one dense layout, memory for results, sums in a fixed order.
#pragma once
#include <ATen/Parallel.h>

#include "call.h"
#include "kernels.h"

namespace lossimpl {

Dtype dtype_of(const Tensor& t);

// As at::empty_like, but large tensors come from caching_allocator().
Tensor empty_like_cached(const Tensor& t);

// t with the strides of empty_like(model): t itself if it has them, else a copy. t must have model's shape.
Tensor with_layout_of(const Tensor& t, const Tensor& model);

inline bool has_value(const OptionalTensor& t) { return t.has_value() && t->defined(); }

// A 0-d tensor of that dtype, rounded once from double.
Tensor scalar(double value, at::ScalarType dtype);

// Results of at least this many bytes are written with non-temporal stores.
constexpr int64_t kStreamBytes = int64_t(16) << 20;

// Pairwise summation: the error grows with log n, and the order depends on n alone.
double pairwise_sum(const double* values, int64_t n);

// The sum of f(begin, end) over fixed chunks of [0, n), `at_once` chunks per task; it does not depend on the number of
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
