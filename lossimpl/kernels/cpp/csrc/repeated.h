// Weights that broadcast along the leading dimensions, read without being written out in full.
#pragma once
#include "buffers.h"

namespace lossimpl {

constexpr int64_t kShortestPeriod = 4096;  // weights that repeat sooner are written out to this length

// A weight as the kernels read it: `period` elements, repeated.
struct Repeated {
  Tensor values;
  int64_t period = 1;
  const void* data() const { return values.defined() ? values.const_data_ptr() : nullptr; }
};

inline bool is_tail_of(const Tensor& w, const Tensor& x) {
  int64_t lead = 0;
  while (lead < w.dim() && w.size(lead) == 1) lead++;
  for (int64_t i = lead; i < w.dim(); i++)
    if (w.size(i) != x.size(x.dim() - w.dim() + i)) return false;
  return w.is_contiguous() && w.numel() > 0;
}

inline Repeated repeated(const OptionalTensor& weight, const Tensor& x) {
  if (!has_value(weight)) return {};
  const Tensor& w = *weight;
  if (w.sizes() == x.sizes()) return {laid_out_like(w, x), x.numel()};
  if (!x.is_contiguous() || !is_tail_of(w, x)) return {laid_out_like(w.expand(x.sizes()), x), x.numel()};
  int64_t times = std::min((kShortestPeriod + w.numel() - 1) / w.numel(), x.numel() / w.numel());
  return {times > 1 ? w.reshape({-1}).repeat({times}) : w, w.numel() * std::max<int64_t>(times, 1)};
}

}  // namespace lossimpl
