// A call of a loss as the autograd code sees it: its tensors, and the ways to compute its value and derivatives.
#pragma once
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <vector>

namespace lossimpl {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

constexpr int64_t kNone = 0, kMean = 1, kSum = 2;  // torch's at::Reduction

inline int64_t reduction_of(std::string_view name) {
  if (name == "mean") return kMean;
  if (name == "none") return kNone;
  TORCH_CHECK_VALUE(name == "sum", name, " is not a valid value for reduction");
  return kSum;
}

// What a refusal says at its end; lossimpl/kernels/contract.py looks for it.
constexpr const char* kRefused = "refused by lossimpl";

// f(), where an error that C++ raises is a refusal of the arguments and marked as one. Exceptions of Python code that
// f() runs (dispatch modes, hooks on saved tensors) are of other types and pass through untouched.
template <class F>
auto refusing(F f) {
  try {
    return f();
  } catch (c10::Error& error) {
    if (error.context().empty() || error.context().back() != kRefused) error.add_context(kRefused);
    throw;
  }
}

// Refuses two arguments whose shapes do not broadcast. Tracers show this message, so it names the arguments.
inline void require_broadcast(const char* first, const Tensor& a, const char* second, const Tensor& b) {
  auto left = a.sym_sizes(), right = b.sym_sizes();
  for (size_t back = 1; back <= std::min(left.size(), right.size()); back++) {
    auto &size = left[left.size() - back], &other = right[right.size() - back];
    TORCH_CHECK(size == other || size == 1 || other == 1, first, " has shape ", left, " and ", second, " ", right,
                ", which do not broadcast");
  }
}

// A loss and the gradients of its first tensors; those not wanted are empty.
struct Step {
  Tensor loss;
  std::array<Tensor, 3> gradients;
};

using Wanted = std::array<bool, 3>;

struct Call {
  std::vector<Tensor> tensors;  // the differentiable ones first; may hold undefined ones
  size_t differentiable;        // the number of tensors for which the kernel computes a gradient
  int64_t reduction;
  std::optional<at::ScalarType> result_dtype;  // if it differs from the promoted dtype of the tensors

  virtual ~Call() = default;
  // The loss alone, by the family's operator: its kernel below autograd, and above, where a derivative is asked for, its
  // formula in torch's differentiable operations (lossimpl/kernels/cpp/formulas.py).
  virtual Tensor value(const std::vector<Tensor>& tensors) const = 0;
  // Loss and gradients in one pass; the gradients are multiplied by `upstream`, which has the loss's shape, if defined.
  virtual Step step(const std::vector<Tensor>& tensors, Wanted wanted, const Tensor& upstream) const = 0;
};

// The loss, with its autograd node if a gradient is required.
Tensor differentiate(std::unique_ptr<Call> call);

}  // namespace lossimpl
