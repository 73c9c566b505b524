// The losses of two tensors on real CPU tensors: layouts, weights, buffers and threads around the kernels.
#pragma once
#include <cmath>

#include "repeated.h"

namespace lossimpl {

constexpr int64_t kChunk = 8192;     // elements to a partial sum: the order of addition depends on nothing else
constexpr int64_t kValues = 1 << 16;  // of a number of two bytes
constexpr int64_t kChunksATask = 4;  // fewer elements than this times kChunk do not pay for a second thread

struct ElementwiseParameters {
  Pair loss;
  double alpha, beta;
  int64_t reduction;
};

inline void check_unit_interval(const ElementwiseArguments& a, const Tensor& x, const Tensor& y, double sum) {
  if (a.loss != Pair::bce || !std::isnan(sum)) return;
  for (auto& t : {x, y})
    TORCH_CHECK(((t >= 0) & (t <= 1)).all().item<bool>(), "all elements should be between 0 and 1");
}

inline double mean_divisor(const ElementwiseParameters& p, const Repeated& weight, int64_t n) {
  bool weighted = weight.values.defined() && (p.loss == Pair::l1 || p.loss == Pair::mse);
  if (!weighted) return static_cast<double>(n);
  Dtype dtype = dtype_of(weight.values);
  return sum_chunks(n, kChunk, kChunksATask,
                    [&](int64_t b, int64_t e) { return kernels().sum(dtype, weight.data(), b, e); });
}

// The gradient of one input where it is wanted: in x's layout, so in a buffer of its own where the input has another.
struct LaidOutGradient {
  Tensor result, buffer;

  LaidOutGradient(bool wanted, const Tensor& of, const Tensor& x) {
    result = wanted ? fresh_like(of) : at::empty({0}, of.options());
    if (wanted) buffer = result.strides() == x.strides() ? result : fresh_like(x);
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
  Tensor x = laid_out_like(input, input), y = laid_out_like(target, x), incoming;
  int64_t n = x.numel();
  Repeated w = repeated(weight, x), pw = repeated(pos_weight, x);
  LaidOutGradient grad_input(want_input, input, x), grad_target(want_target, target, x);
  bool every = p.reduction == kNone && !has_value(upstream);  // what backward asks for has no use for the losses again
  Tensor out = every ? fresh_like(x) : Tensor();
  double count = p.reduction == kMean ? mean_divisor(p, w, n) : 1, scale = 1 / count;
  if (has_value(upstream) && upstream->dim() == 0 && p.reduction != kNone)
    scale *= upstream->item<double>();
  else if (has_value(upstream))
    incoming = laid_out_like(upstream->expand(x.sizes()), x);
  int64_t written = n * x.element_size() * (want_input + want_target + every);
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
                         n >= kValues};
  double sum =
      sum_chunks(n, kChunk, kChunksATask, [&](int64_t b, int64_t e) { return kernels().elementwise(a, b, e); });
  check_unit_interval(a, x, y, sum);
  grad_input.finish();
  grad_target.finish();
  if (p.reduction != kNone) out = scalar(sum / count, x.scalar_type());
  return {out.defined() ? out : at::empty({0}, x.options()), grad_input.result, grad_target.result};
}

inline Tensor elementwise_forward(int64_t loss, const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                  const OptionalTensor& pos_weight, double alpha, double beta, int64_t reduction) {
  ElementwiseParameters p{static_cast<Pair>(loss), alpha, beta, reduction};
  return refusing([&] { return std::get<0>(run_elementwise(p, input, target, weight, pos_weight, false, false, {})); });
}

inline std::tuple<Tensor, Tensor, Tensor> elementwise_step(int64_t loss, const Tensor& input, const Tensor& target,
                                                           const OptionalTensor& weight,
                                                           const OptionalTensor& pos_weight, double alpha, double beta,
                                                           int64_t reduction, bool want_input, bool want_target,
                                                           const OptionalTensor& upstream) {
  ElementwiseParameters p{static_cast<Pair>(loss), alpha, beta, reduction};
  return refusing(
      [&] { return run_elementwise(p, input, target, weight, pos_weight, want_input, want_target, upstream); });
}

}  // namespace lossimpl
