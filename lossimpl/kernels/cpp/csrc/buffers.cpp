#include "buffers.h"

#include <cmath>
#include <cstring>

#include <ATen/EmptyTensor.h>
#include <ATen/ExpandUtils.h>

#include "caching_allocator.h"

namespace lossimpl {

Dtype dtype_of(const Tensor& t) {
  switch (t.scalar_type()) {
    case at::kDouble:
      return Dtype::f64;
    case at::kFloat:
      return Dtype::f32;
    case at::kBFloat16:
      return Dtype::bf16;
    case at::kHalf:
      return Dtype::f16;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "no kernel for ", t.scalar_type());
  }
}

Tensor empty_like_cached(const Tensor& t) {
  if (t.numel() * t.element_size() < static_cast<int64_t>(kMinCachedBytes)) return at::empty_like(t);
  auto strides = t.is_non_overlapping_and_dense() ? t.strides().vec() : at::infer_dense_strides(t.sizes(), t.strides());
  return Tensor(at::detail::empty_strided_generic(t.sizes(), strides, caching_allocator(),
                                                  c10::DispatchKeySet(c10::DispatchKey::CPU), t.scalar_type()));
}

Tensor with_layout_of(const Tensor& t, const Tensor& model) {
  if (t.is_contiguous() && model.is_contiguous()) return t;
  Tensor out = at::empty_like(model, t.scalar_type());
  if (out.strides() == t.strides()) return t;
  return out.copy_(t);
}

// double -> float, rounding to odd, so that a second rounding to 16 bits gives the correctly rounded result.
static float round_to_odd(double value) {
  float rounded = static_cast<float>(value);
  if (rounded == value || !std::isfinite(rounded)) return rounded;
  if (std::fabs(rounded) > std::fabs(value)) rounded = std::nextafterf(rounded, 0.0f);
  uint32_t bits;
  std::memcpy(&bits, &rounded, 4);
  bits |= 1;
  std::memcpy(&rounded, &bits, 4);
  return rounded;
}

Tensor scalar(double value, at::ScalarType dtype) {
  Tensor out = at::empty({}, at::TensorOptions(dtype));
  switch (dtype) {
    case at::kDouble:
      *out.mutable_data_ptr<double>() = value;
      break;
    case at::kFloat:
      *out.mutable_data_ptr<float>() = static_cast<float>(value);
      break;
    case at::kBFloat16:
      *out.mutable_data_ptr<at::BFloat16>() = round_to_odd(value);
      break;
    default:
      *out.mutable_data_ptr<at::Half>() = round_to_odd(value);
  }
  return out;
}

double pairwise_sum(const double* values, int64_t n) {
  if (n <= 4) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return sum;
  }
  int64_t half = n / 2;
  return pairwise_sum(values, half) + pairwise_sum(values + half, n - half);
}

}  // namespace lossimpl
