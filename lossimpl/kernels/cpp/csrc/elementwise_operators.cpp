// The elementwise losses as torch operators.
#include "elementwise_run.h"
#include "register.h"

namespace lossimpl {
namespace {

struct ElementwiseCall : Call {
  ElementwiseParameters p;

  ElementwiseCall(ElementwiseParameters p, const Tensor& input, const Tensor& target, const OptionalTensor& weight = {},
                  const OptionalTensor& pos_weight = {})
      : p(p) {
    tensors = {input, target, weight.value_or(Tensor()), pos_weight.value_or(Tensor())};
    differentiable = 2;
    reduction = p.reduction;
    promote();
    if (!same_shape(tensors[0], tensors[1])) {
      require_broadcast("target", target, "input", input);
      auto same = at::broadcast_tensors({tensors[0], tensors[1]});
      tensors[0] = same[0], tensors[1] = same[1];
    }
  }

  // Converts all tensors to their promoted dtype.
  void promote() {
    auto dtype = tensors[0].scalar_type();
    bool mixed = false;
    for (auto& one : tensors) {
      if (!one.defined() || one.scalar_type() == dtype) continue;
      mixed = true;
      dtype = c10::promoteTypes(dtype, one.scalar_type());
    }
    TORCH_CHECK_NOT_IMPLEMENTED(at::isFloatingType(dtype), "no kernel for ", dtype);
    TORCH_CHECK_NOT_IMPLEMENTED(tensors[0].is_floating_point() || tensors[1].is_floating_point(),
                                "no kernel for differences of integers");
    if (mixed)
      for (auto& one : tensors)
        if (one.defined()) one = one.to(dtype);
  }

  static OptionalTensor optional(const Tensor& t) { return t.defined() ? OptionalTensor(t) : OptionalTensor(); }

  Tensor value(const std::vector<Tensor>& t) const override {
    static auto op = c10::Dispatcher::singleton()
                         .findSchemaOrThrow("lossimpl::_elementwise", "")
                         .typed<decltype(elementwise_forward)>();
    return op.call((int64_t)p.loss, t[0], t[1], optional(t[2]), optional(t[3]), p.alpha, p.beta, p.reduction);
  }

  Step step(const std::vector<Tensor>& t, Wanted wanted, const Tensor& upstream) const override {
    static auto op = c10::Dispatcher::singleton()
                         .findSchemaOrThrow("lossimpl::_elementwise_step", "")
                         .typed<decltype(elementwise_step)>();
    auto [loss, first, second] = op.call((int64_t)p.loss, t[0], t[1], optional(t[2]), optional(t[3]), p.alpha, p.beta,
                                         p.reduction, wanted[0], wanted[1], optional(upstream));
    return {loss, {first, second, Tensor()}};
  }
};

std::unique_ptr<Call> elementwise(PairLoss loss, double alpha, double beta, std::string_view reduction,
                                  const Tensor& input, const Tensor& target, const OptionalTensor& weight = {},
                                  const OptionalTensor& pos_weight = {}) {
  return std::make_unique<ElementwiseCall>(ElementwiseParameters{loss, alpha, beta, reduction_of(reduction)}, input,
                                           target, weight, pos_weight);
}

// The dtype of the result is that of input and target, regardless of the weights.
std::unique_ptr<Call> with_dtype_of_pair(std::unique_ptr<Call> call, const Tensor& input, const Tensor& target) {
  auto dtype = c10::promoteTypes(input.scalar_type(), target.scalar_type());
  if (call->tensors[0].scalar_type() != dtype) call->result_dtype = dtype;
  return call;
}

void require_same(const Tensor& input, const char* name, const Tensor& other) {
  TORCH_CHECK_VALUE(same_shape(input, other), name, " has shape ", other.sym_sizes(), ": it must have input's ",
                    input.sym_sizes());
}
void require_floating(const Tensor& target) {
  TORCH_CHECK(target.is_floating_point(), "target must be floating point, got ", target.scalar_type());
}
void require_same(const Tensor& input, const char* name, const OptionalTensor& other) {
  if (has_value(other)) require_same(input, name, *other);
}
// Refuses a weight that does not broadcast to the input's shape.
void require_expandable(const Tensor& input, const char* name, const OptionalTensor& weight) {
  if (!has_value(weight)) return;
  auto wanted = input.sym_sizes(), given = weight->sym_sizes();
  bool fits = given.size() <= wanted.size();
  for (size_t back = 1; fits && back <= given.size(); back++) {
    auto& size = given[given.size() - back];
    fits = size == 1 || size == wanted[wanted.size() - back];
  }
  TORCH_CHECK(fits, name, " has shape ", given, ": it must broadcast to input's ", wanted);
}

struct L1Loss {
  LOSSIMPL_LOSS(l1_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::string_view reduction,
                                    const OptionalTensor& weight) {
    require_same(input, "weight", weight);
    return elementwise(PairLoss::l1, 0, 0, reduction, input, target, weight);
  }
};

struct MseLoss {
  LOSSIMPL_LOSS(mse_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::string_view reduction,
                                    const OptionalTensor& weight) {
    require_same(input, "weight", weight);
    return elementwise(PairLoss::mse, 0, 0, reduction, input, target, weight);
  }
};

struct SmoothL1Loss {
  LOSSIMPL_LOSS(smooth_l1_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::string_view reduction,
                                    double beta) {
    TORCH_CHECK(beta >= 0, "beta must be at least 0, got ", beta);
    bool wide = input.scalar_type() == at::kDouble || target.scalar_type() == at::kDouble;
    bool quadratic = wide ? beta > 0 : static_cast<float>(beta) > 0;
    return elementwise(quadratic ? PairLoss::smooth_l1 : PairLoss::l1, 0, beta, reduction, input, target);
  }
};

struct HuberLoss {
  LOSSIMPL_LOSS(huber_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::string_view reduction, double delta,
                                    const OptionalTensor& weight) {
    TORCH_CHECK(delta > 0, "delta must be above 0, got ", delta);
    require_same(input, "weight", weight);
    auto call = elementwise(PairLoss::huber, 0, delta, reduction, input, target, weight);
    auto dtype = input.scalar_type();
    call->result_dtype = has_value(weight) ? c10::promoteTypes(dtype, weight->scalar_type()) : dtype;
    return call;
  }
};

struct LogCoshLoss {
  LOSSIMPL_LOSS(log_cosh_loss)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, std::string_view reduction) {
    return elementwise(PairLoss::log_cosh, 0, 0, reduction, input, target);
  }
};

struct BinaryCrossEntropy {
  LOSSIMPL_LOSS(binary_cross_entropy)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                    std::string_view reduction) {
    require_same(input, "target", target);
    require_expandable(input, "weight", weight);
    TORCH_CHECK(input.scalar_type() == target.scalar_type(), "input and target must have one dtype");
    return with_dtype_of_pair(elementwise(PairLoss::bce, 0, 0, reduction, input, target, weight), input, target);
  }
};

struct BinaryCrossEntropyWithLogits {
  LOSSIMPL_LOSS(binary_cross_entropy_with_logits)
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                                    std::string_view reduction, const OptionalTensor& pos_weight) {
    require_same(input, "target", target);
    require_floating(target);
    require_expandable(input, "weight", weight);
    require_expandable(input, "pos_weight", pos_weight);
    auto call = elementwise(PairLoss::bce_logits, 0, 0, reduction, input, target, weight, pos_weight);
    return with_dtype_of_pair(std::move(call), input, target);
  }
};

struct SigmoidFocalLoss {
  LOSSIMPL_LOSS(sigmoid_focal_loss)
  static std::unique_ptr<Call> make(const Tensor& inputs, const Tensor& targets, double alpha, double gamma,
                                    std::string_view reduction) {
    require_same(inputs, "targets", targets);
    require_floating(targets);
    TORCH_CHECK_VALUE(gamma >= 0, "gamma must be at least 0, got ", gamma);
    TORCH_CHECK_VALUE(alpha <= 1, "alpha must be at most 1, got ", alpha);
    return elementwise(PairLoss::focal, alpha, gamma, reduction, inputs, targets);
  }
};

}  // namespace
}  // namespace lossimpl

TORCH_LIBRARY_IMPL(lossimpl, CPU, m) {
  m.impl("_elementwise", &lossimpl::elementwise_forward);
  m.impl("_elementwise_step", &lossimpl::elementwise_step);
}
LOSSIMPL_FAMILY(lossimpl::L1Loss, lossimpl::MseLoss, lossimpl::SmoothL1Loss, lossimpl::HuberLoss, lossimpl::LogCoshLoss,
                lossimpl::BinaryCrossEntropy, lossimpl::BinaryCrossEntropyWithLogits, lossimpl::SigmoidFocalLoss)
