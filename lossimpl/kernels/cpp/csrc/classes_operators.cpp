// The losses over classes as torch operators: cross entropy and softmax focal loss.
//
// Targets are class indices (int64), one per row, or probabilities of the input's shape. The kernels take rows of
// contiguous classes: an input (N, C, d1, ...) is rearranged to (N, d1, ..., C), which is free if it is channels-last.
#include "buffers.h"
#include "register.h"

namespace lossimpl {
namespace {

constexpr int64_t kElementsPerTask = 32768;  // fewer elements are not worth a second thread
constexpr int64_t kLabelChunk = 65536;

struct Parameters {
  int64_t ignore_index;
  double smoothing, alpha, gamma;
  bool focal;
  int64_t reduction;
};

int64_t class_dim(const Tensor& input) { return input.dim() > 1 ? 1 : 0; }

// A view of (N, C, d1, ...) as (N, d1, ..., C).
Tensor classes_last(const Tensor& t) { return t.dim() > 2 ? t.movedim(1, -1) : t; }

// The divisor of the mean; refuses labels that are neither a class nor ignored.
double divisor(const Parameters& p, const Tensor& labels, int64_t classes, const Tensor& weight) {
  const int64_t* label = labels.const_data_ptr<int64_t>();
  const bool weighted = weight.defined() && !p.focal;
  const double* w = weighted ? weight.const_data_ptr<double>() : nullptr;
  return sum_chunks(labels.numel(), kLabelChunk, 1, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
      if (label[i] == p.ignore_index) continue;
      TORCH_CHECK_INDEX(label[i] >= 0 && label[i] < classes, "Target ", label[i], " is out of bounds.");
      sum += w ? w[label[i]] : 1.0;
    }
    return sum;
  });
}

void check_shapes(const Tensor& input, const Tensor& target, const OptionalTensor& weight, bool labels) {
  int64_t classes = input.size(class_dim(input));
  TORCH_CHECK_NOT_IMPLEMENTED(classes > 0, "no kernel for zero classes");
  if (labels) {
    std::vector<int64_t> wanted(input.sizes().vec());
    wanted.erase(wanted.begin() + class_dim(input));
    TORCH_CHECK_VALUE(input.dim() < 2 || target.dim() == 0 || target.size(0) == input.size(0), "batch sizes differ");
    TORCH_CHECK(target.sizes() == wanted || (input.dim() == 1 && target.numel() == 1), "Expected target size ", wanted,
                ", got ", target.sizes());
  } else {
    TORCH_CHECK(target.sizes() == input.sizes(), "target must have input's shape");
  }
  TORCH_CHECK(!has_value(weight) || (weight->dim() == 1 && weight->size(0) == classes),
              "weight must have one element per class");
}

// A gradient in the input's layout, computed in rows.
struct RowGradient {
  Tensor result, rows;

  RowGradient(bool wanted, const Tensor& of) {
    result = wanted ? empty_like_cached(of) : at::empty({0}, of.options());
    if (!wanted) return;
    Tensor seen = classes_last(result);
    rows = seen.is_contiguous() ? seen : at::empty(seen.sizes(), seen.options());
  }
  void* data() const { return rows.defined() ? rows.mutable_data_ptr() : nullptr; }
  void finish() {
    if (!rows.defined()) return;
    Tensor seen = classes_last(result);
    if (!seen.is_contiguous()) seen.copy_(rows);
  }
};

double sum_of(const Tensor& weights) { return pairwise_sum(weights.const_data_ptr<double>(), weights.numel()); }

Tensor in_double(const Tensor& t) { return t.to(at::kDouble).contiguous(); }

Tensor finish_loss(const Parameters& p, const std::vector<double>& losses, double count, const Tensor& like_rows,
                   const Tensor& input) {
  if (p.reduction != kNone) return scalar(pairwise_sum(losses.data(), losses.size()) / count, input.scalar_type());
  Tensor values = at::empty(like_rows.sizes().slice(0, like_rows.dim() - 1), input.options().dtype(at::kDouble));
  std::copy(losses.begin(), losses.end(), values.mutable_data_ptr<double>());
  return values.to(input.scalar_type());
}

std::tuple<Tensor, Tensor, Tensor> run(const Parameters& p, const Tensor& input, const Tensor& target,
                                       const OptionalTensor& weight, bool want_input, bool want_target,
                                       const OptionalTensor& upstream) {
  bool labelled = !target.is_floating_point();
  check_shapes(input, target, weight, labelled);
  Tensor x = classes_last(input).contiguous(), y = (labelled ? target : classes_last(target)).contiguous();
  int64_t classes = x.size(-1), rows = x.numel() / classes;
  Tensor weights = has_value(weight) ? in_double(*weight) : Tensor(), incoming;
  Tensor kernel_weights = !has_value(weight) || x.scalar_type() == at::kDouble ? weights : weights.to(at::kFloat);
  double count = labelled ? divisor(p, y, classes, weights) : static_cast<double>(rows);
  if (p.reduction != kMean) count = 1;
  double scale = 1 / count;
  if (has_value(upstream) && p.reduction != kNone)
    scale *= upstream->item<double>();
  else if (has_value(upstream))
    incoming = in_double(*upstream);
  RowGradient grad_input(want_input, input), grad_target(want_target, target);
  std::vector<double> losses(rows);
  int64_t written = x.numel() * x.element_size() * (want_input + want_target);
  ClassesArguments a{dtype_of(x),
                     x.const_data_ptr(),
                     labelled ? y.const_data_ptr<int64_t>() : nullptr,
                     labelled ? nullptr : y.const_data_ptr(),
                     kernel_weights.defined() ? kernel_weights.const_data_ptr() : nullptr,
                     incoming.defined() ? incoming.const_data_ptr<double>() : nullptr,
                     losses.data(),
                     grad_input.data(),
                     grad_target.data(),
                     classes,
                     p.ignore_index,
                     scale,
                     p.smoothing,
                     weights.defined() ? sum_of(weights) : static_cast<double>(classes),
                     p.alpha,
                     p.gamma,
                     p.focal,
                     written >= kStreamBytes};
  at::parallel_for(0, rows, std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, classes)),
                   [&](int64_t begin, int64_t end) { kernels().classes(a, begin, end); });
  grad_input.finish();
  grad_target.finish();
  return {finish_loss(p, losses, count, x, input), grad_input.result, grad_target.result};
}

Tensor forward_kernel(const Tensor& input, const Tensor& target, const OptionalTensor& weight, int64_t ignore_index,
                      double smoothing, double alpha, double gamma, bool focal, int64_t reduction) {
  Parameters p{ignore_index, smoothing, alpha, gamma, focal, reduction};
  return refusing([&] { return std::get<0>(run(p, input, target, weight, false, false, {})); });
}

std::tuple<Tensor, Tensor, Tensor> step_kernel(const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                               int64_t ignore_index, double smoothing, double alpha, double gamma,
                                               bool focal, int64_t reduction, bool want_input, bool want_target,
                                               const OptionalTensor& upstream) {
  Parameters p{ignore_index, smoothing, alpha, gamma, focal, reduction};
  return refusing([&] { return run(p, input, target, weight, want_input, want_target, upstream); });
}

struct ClassesCall : Call {
  Parameters p;

  ClassesCall(Parameters p, const Tensor& input, const Tensor& target, const OptionalTensor& weight) : p(p) {
    bool labelled = !target.is_floating_point();
    tensors = {input, target, weight.value_or(Tensor())};
    differentiable = labelled ? 1 : 2;
    reduction = p.reduction;
    TORCH_CHECK(input.dim() > 0, "input must have a dimension of classes");
    TORCH_CHECK_NOT_IMPLEMENTED(input.is_floating_point(), "no kernel for ", input.scalar_type());
    if (labelled)
      labels();
    else
      promote();
  }

  void labels() {
    const Tensor& weight = tensors[2];
    TORCH_CHECK(!weight.defined() || weight.scalar_type() == tensors[0].scalar_type(), "weight must have input's dtype");
    auto dtype = tensors[1].scalar_type();
    TORCH_CHECK(dtype == at::kLong || dtype == at::kByte, "expected target dtype to be Long or Byte, but got ", dtype);
    if (dtype == at::kByte) tensors[1] = tensors[1].to(at::kLong);
  }

  void promote() {
    TORCH_CHECK(p.ignore_index < 0, "ignore_index is not supported for floating point target");
    auto dtype = tensors[0].scalar_type();
    for (auto& one : tensors)
      if (one.defined()) dtype = c10::promoteTypes(dtype, one.scalar_type());
    for (auto& one : tensors)
      if (one.defined() && one.scalar_type() != dtype) one = one.to(dtype);
  }

  static OptionalTensor optional(const Tensor& t) { return t.defined() ? OptionalTensor(t) : OptionalTensor(); }

  Tensor value(const std::vector<Tensor>& t) const override {
    static auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_classes", "").typed<decltype(forward_kernel)>();
    return op.call(t[0], t[1], optional(t[2]), p.ignore_index, p.smoothing, p.alpha, p.gamma, p.focal, p.reduction);
  }

  Step step(const std::vector<Tensor>& t, Wanted wanted, const Tensor& upstream) const override {
    static auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_classes_step", "").typed<decltype(step_kernel)>();
    auto [loss, first, second] = op.call(t[0], t[1], optional(t[2]), p.ignore_index, p.smoothing, p.alpha, p.gamma,
                                         p.focal, p.reduction, wanted[0], wanted[1], optional(upstream));
    return {loss, {first, second, Tensor()}};
  }
};

struct CrossEntropy {
  LOSSIMPL_LOSS(cross_entropy)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                    int64_t ignore_index, std::string_view reduction, double label_smoothing) {
    TORCH_CHECK(label_smoothing >= 0 && label_smoothing <= 1,
                "label_smoothing must be between 0.0 and 1.0. Got: ", label_smoothing);
    return std::make_unique<ClassesCall>(
        Parameters{ignore_index, label_smoothing, 1, 0, false, reduction_of(reduction)}, input, target, weight);
  }
};

// alpha is one number for all classes, class_alpha one number per class; at most one of them is given.
struct SoftmaxFocalLoss {
  LOSSIMPL_LOSS(softmax_focal_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::optional<double> alpha,
                                    const OptionalTensor& class_alpha, double gamma, int64_t ignore_index,
                                    std::string_view reduction) {
    TORCH_CHECK_VALUE(gamma >= 0, "gamma must be at least 0, got ", gamma);
    TORCH_CHECK(!target.is_floating_point(), "expected target dtype to be Long or Byte, but got ",
                target.scalar_type());
    return std::make_unique<ClassesCall>(
        Parameters{ignore_index, 0, alpha.value_or(1), gamma, true, reduction_of(reduction)}, input, target,
        class_alpha);
  }
};

}  // namespace
}  // namespace lossimpl

TORCH_LIBRARY_IMPL(lossimpl, CPU, m) {
  m.impl("_classes", &lossimpl::forward_kernel);
  m.impl("_classes_step", &lossimpl::step_kernel);
}
LOSSIMPL_FAMILY(lossimpl::CrossEntropy, lossimpl::SoftmaxFocalLoss)
