// Weights that broadcast along the leading dimensions, read without being expanded in memory.
#pragma once
#include "buffers.h"

namespace lossimpl {

constexpr int64_t kShortestPeriod = 4096;  // weights with a shorter period are repeated in memory up to this length

// A weight as the kernels read it: `period` elements that repeat.
struct PeriodicWeight {
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

inline PeriodicWeight periodic_weight(const OptionalTensor& weight, const Tensor& x) {
  if (!has_value(weight)) return {};
  const Tensor& w = *weight;
  if (w.sizes() == x.sizes()) return {with_layout_of(w, x), x.numel()};
  if (!x.is_contiguous() || !is_tail_of(w, x)) return {with_layout_of(w.expand(x.sizes()), x), x.numel()};
  int64_t times = std::min((kShortestPeriod + w.numel() - 1) / w.numel(), x.numel() / w.numel());
  return {times > 1 ? w.reshape({-1}).repeat({times}) : w, w.numel() * std::max<int64_t>(times, 1)};
}

}  // namespace lossimpl
