// The elementwise losses on CPU tensors: layouts, weights, buffers and threads around the kernels.
#pragma once
#include <cmath>

#include "periodic_weight.h"

namespace lossimpl {

constexpr int64_t kChunk = 8192;          // elements per partial sum, which alone determines the order of addition
constexpr int64_t kBf16Values = 1 << 16;  // number of bf16 values
constexpr int64_t kChunksPerTask = 4;     // fewer chunks are not worth a second thread

struct ElementwiseParameters {
  PairLoss loss;
  double alpha, beta;
  int64_t reduction;
};

inline void check_unit_interval(const ElementwiseArguments& a, const Tensor& x, const Tensor& y, double sum) {
  if (a.loss != PairLoss::bce || !std::isnan(sum)) return;
  auto inside = [](const Tensor& t) { return ((t >= 0) & (t <= 1)).all().item<bool>(); };
  TORCH_CHECK(inside(x), "all elements of input should be between 0 and 1");
  TORCH_CHECK(inside(y), "all elements of target should be between 0 and 1");
}

// What a mean divides by: the sum of the weights as they were given, not as they broadcast; Huber's excepted, as in torch.
inline double mean_divisor(const ElementwiseParameters& p, const OptionalTensor& weight, const PeriodicWeight& read,
                           int64_t n) {
  bool weighted = has_value(weight) && (p.loss == PairLoss::l1 || p.loss == PairLoss::mse);
  if (!weighted) return static_cast<double>(n);
  Tensor given = weight->numel() == read.values.numel() ? read.values : weight->contiguous();
  Dtype dtype = dtype_of(given);
  return sum_chunks(given.numel(), kChunk, kChunksPerTask,
                    [&](int64_t b, int64_t e) { return kernels().sum(dtype, given.const_data_ptr(), b, e); });
}

// The gradient of one input, if wanted. The kernel writes it in x's layout: into a buffer if the input has another one.
struct GradientBuffer {
  Tensor result, buffer;

  GradientBuffer(bool wanted, const Tensor& of, const Tensor& x) {
    result = wanted ? empty_like_cached(of) : at::empty({0}, of.options());
    if (wanted) buffer = result.strides() == x.strides() ? result : empty_like_cached(x);
  }
  void* data() const { return buffer.defined() ? buffer.mutable_data_ptr() : nullptr; }
  void finish() {
    if (buffer.defined() && !buffer.is_same(result)) result.copy_(buffer);
  }
};

inline std::tuple<Tensor, Tensor, Tensor> run_elementwise(const ElementwiseParameters& p, const Tensor& input,
                                                          const Tensor& target, const OptionalTensor& weight,
                                                          const OptionalTensor& pos_weight, bool want_input,
                                                          bool want_target, const OptionalTensor& upstream) {
  Tensor x = with_layout_of(input, input), y = with_layout_of(target, x), incoming;
  int64_t n = x.numel();
  PeriodicWeight w = periodic_weight(weight, x), pw = periodic_weight(pos_weight, x);
  GradientBuffer grad_input(want_input, input, x), grad_target(want_target, target, x);
  bool per_element = p.reduction == kNone && !has_value(upstream);  // backward does not need the losses
  Tensor out = per_element ? empty_like_cached(x) : Tensor();
  double count = p.reduction == kMean ? mean_divisor(p, weight, w, n) : 1, scale = 1 / count;
  if (has_value(upstream) && upstream->dim() == 0 && p.reduction != kNone)
    scale *= upstream->item<double>();
  else if (has_value(upstream))
    incoming = with_layout_of(upstream->expand(x.sizes()), x);
  int64_t written = n * x.element_size() * (want_input + want_target + per_element);
  ElementwiseArguments a{p.loss,
                         dtype_of(x),
                         x.const_data_ptr(),
                         y.const_data_ptr(),
                         w.data(),
                         pw.data(),
                         incoming.defined() ? incoming.const_data_ptr() : nullptr,
                         w.period,
                         pw.period,
                         out.defined() ? out.mutable_data_ptr() : nullptr,
                         grad_input.data(),
                         grad_target.data(),
                         scale,
                         p.alpha,
                         p.beta,
                         written >= kStreamBytes,
                         n >= kBf16Values};
  double sum =
      sum_chunks(n, kChunk, kChunksPerTask, [&](int64_t b, int64_t e) { return kernels().elementwise(a, b, e); });
  check_unit_interval(a, x, y, sum);
  grad_input.finish();
  grad_target.finish();
  if (p.reduction != kNone) out = scalar(sum / count, x.scalar_type());
  return {out.defined() ? out : at::empty({0}, x.options()), grad_input.result, grad_target.result};
}

inline Tensor elementwise_forward(int64_t loss, const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                  const OptionalTensor& pos_weight, double alpha, double beta, int64_t reduction) {
  ElementwiseParameters p{static_cast<PairLoss>(loss), alpha, beta, reduction};
  return refusing([&] { return std::get<0>(run_elementwise(p, input, target, weight, pos_weight, false, false, {})); });
}

inline std::tuple<Tensor, Tensor, Tensor> elementwise_step(int64_t loss, const Tensor& input, const Tensor& target,
                                                           const OptionalTensor& weight,
                                                           const OptionalTensor& pos_weight, double alpha, double beta,
                                                           int64_t reduction, bool want_input, bool want_target,
                                                           const OptionalTensor& upstream) {
  ElementwiseParameters p{static_cast<PairLoss>(loss), alpha, beta, reduction};
  return refusing(
      [&] { return run_elementwise(p, input, target, weight, pos_weight, want_input, want_target, upstream); });
}

}  // namespace lossimpl
