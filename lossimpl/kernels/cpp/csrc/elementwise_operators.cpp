// The losses of two tensors as torch operators.
#include <cmath>

#include "buffers.h"
#include "register.h"

namespace lossimpl {
namespace {

constexpr int64_t kChunk = 8192;   // elements to a partial sum: the order of addition depends on nothing else
constexpr int64_t kChunksATask = 4;  // fewer elements than this times kChunk do not pay for a second thread
constexpr int64_t kShortestPeriod = 4096;  // weights that repeat sooner are written out to this length

struct Parameters {
  Pair loss;
  double alpha, beta;
  int64_t reduction;
};

// A weight as the kernels read it: `period` elements, repeated.
struct Repeated {
  Tensor values;
  int64_t period = 1;
  const void* data() const { return values.defined() ? values.const_data_ptr() : nullptr; }
};

bool is_tail_of(const Tensor& w, const Tensor& x) {
  int64_t lead = 0;
  while (lead < w.dim() && w.size(lead) == 1) lead++;
  for (int64_t i = lead; i < w.dim(); i++)
    if (w.size(i) != x.size(x.dim() - w.dim() + i)) return false;
  return w.is_contiguous() && w.numel() > 0;
}

Repeated repeated(const OptionalTensor& weight, const Tensor& x) {
  if (!has_value(weight)) return {};
  const Tensor& w = *weight;
  if (w.sizes() == x.sizes()) return {laid_out_like(w, x), x.numel()};
  if (!x.is_contiguous() || !is_tail_of(w, x)) return {laid_out_like(w.expand(x.sizes()), x), x.numel()};
  int64_t times = std::min((kShortestPeriod + w.numel() - 1) / w.numel(), x.numel() / w.numel());
  return {times > 1 ? w.reshape({-1}).repeat({times}) : w, w.numel() * std::max<int64_t>(times, 1)};
}

void check_probabilities(const ElementwiseArguments& a, const Tensor& x, const Tensor& y, double sum) {
  if (a.loss != Pair::bce || !std::isnan(sum)) return;
  for (auto& t : {x, y}) TORCH_CHECK(((t >= 0) & (t <= 1)).all().item<bool>(), "all elements should be between 0 and 1");
}

double divisor(const Parameters& p, const Repeated& weight, int64_t n) {
  bool weighted = weight.values.defined() && (p.loss == Pair::l1 || p.loss == Pair::mse);
  if (!weighted) return static_cast<double>(n);
  Dtype dtype = dtype_of(weight.values);
  return sum_chunks(n, kChunk, kChunksATask, [&](int64_t b, int64_t e) { return kernels().sum(dtype, weight.data(), b, e); });
}

// The gradient of one input where it is wanted: in x's layout, so in a buffer of its own where the input has another.
struct Gradient {
  Tensor result, buffer;

  Gradient(bool wanted, const Tensor& of, const Tensor& x) {
    result = wanted ? fresh_like(of) : at::empty({0}, of.options());
    if (wanted) buffer = result.strides() == x.strides() ? result : fresh_like(x);
  }
  void* data() const { return buffer.defined() ? buffer.mutable_data_ptr() : nullptr; }
  void finish() {
    if (buffer.defined() && !buffer.is_same(result)) result.copy_(buffer);
  }
};

std::tuple<Tensor, Tensor, Tensor> run(
    const Parameters& p, const Tensor& input, const Tensor& target, const OptionalTensor& weight,
    const OptionalTensor& pos_weight, bool want_input, bool want_target, const OptionalTensor& upstream) {
  Tensor x = laid_out_like(input, input), y = laid_out_like(target, x), incoming;
  int64_t n = x.numel();
  Repeated w = repeated(weight, x), pw = repeated(pos_weight, x);
  Gradient grad_input(want_input, input, x), grad_target(want_target, target, x);
  Tensor out = p.reduction == kNone ? fresh_like(x) : Tensor();
  double count = p.reduction == kMean ? divisor(p, w, n) : 1, scale = 1 / count;
  if (has_value(upstream) && upstream->dim() == 0 && p.reduction != kNone) scale *= upstream->item<double>();
  else if (has_value(upstream)) incoming = laid_out_like(upstream->expand(x.sizes()), x);
  int64_t written = n * x.element_size() * (want_input + want_target + (p.reduction == kNone));
  ElementwiseArguments a{p.loss, dtype_of(x), x.const_data_ptr(), y.const_data_ptr(), w.data(), pw.data(),
                         incoming.defined() ? incoming.const_data_ptr() : nullptr, w.period, pw.period,
                         out.defined() ? out.mutable_data_ptr() : nullptr, grad_input.data(), grad_target.data(), scale,
                         p.alpha, p.beta, written >= kStreamBytes};
  double sum = sum_chunks(n, kChunk, kChunksATask, [&](int64_t b, int64_t e) { return kernels().elementwise(a, b, e); });
  check_probabilities(a, x, y, sum);
  grad_input.finish();
  grad_target.finish();
  return {out.defined() ? out : scalar(sum / count, x.scalar_type()), grad_input.result, grad_target.result};
}

Tensor forward_kernel(int64_t loss, const Tensor& input, const Tensor& target, const OptionalTensor& weight,
                      const OptionalTensor& pos_weight, double alpha, double beta, int64_t reduction) {
  return std::get<0>(run({static_cast<Pair>(loss), alpha, beta, reduction}, input, target, weight, pos_weight, false, false, {}));
}

std::tuple<Tensor, Tensor, Tensor> step_kernel(
    int64_t loss, const Tensor& input, const Tensor& target, const OptionalTensor& weight, const OptionalTensor& pos_weight,
    double alpha, double beta, int64_t reduction, bool want_input, bool want_target, const OptionalTensor& upstream) {
  return run({static_cast<Pair>(loss), alpha, beta, reduction}, input, target, weight, pos_weight, want_input, want_target, upstream);
}

// ---- the losses from torch's operations

Tensor soft_plus(const Tensor& x) { return -at::log_sigmoid(-x); }

// cosh(d) = 1 + 2 sinh(d/2)^2 keeps the digits of small d.
Tensor log_cosh(const Tensor& d) {
  Tensor size = d.abs(), small = size < 1, half = at::where(small, d, 0) / 2;
  Tensor far = size + at::log1p(at::exp(-2 * size)) - std::log(2.0);
  return at::where(small, at::log1p(2 * half.sinh().square()), far);
}

Tensor focal(const Tensor& x, const Tensor& y, double alpha, double gamma) {
  Tensor p = at::sigmoid(x), q = at::sigmoid(-x), wrong = p * (1 - y) + q * y;
  Tensor loss = soft_plus(x) * (1 - y) + soft_plus(-x) * y;
  if (gamma != 0) loss = loss * at::exp(gamma * at::log(wrong));
  return alpha < 0 ? loss : loss * (alpha * y + (1 - alpha) * (1 - y));
}

// torch's own rounds its second derivative; it serves only where the contract's clamps act.
Tensor clamped_entropy(const Tensor& p, const Tensor& y) {
  Tensor inside = p * (1 - p) > 1e-12, safe = at::where(inside, p, 0.5);
  Tensor plain = -(y * safe.log() + (1 - y) * at::log1p(-safe));
  return at::where(inside, plain, at::binary_cross_entropy(at::where(inside, 0.5, p), y, {}, kNone));
}

struct ElementwiseCall : Call {
  Parameters p;

  ElementwiseCall(Parameters p, const Tensor& input, const Tensor& target, const OptionalTensor& weight = {},
                  const OptionalTensor& pos_weight = {})
      : p(p) {
    tensors = {input, target, weight.value_or(Tensor()), pos_weight.value_or(Tensor())};
    differentiable = 2;
    reduction = p.reduction;
    TORCH_CHECK(reduction >= kNone && reduction <= kSum, "reduction must be 0, 1 or 2, got ", reduction);
    promote();
    if (!same_shape(tensors[0], tensors[1])) {
      auto same = at::broadcast_tensors({tensors[0], tensors[1]});
      tensors[0] = same[0], tensors[1] = same[1];
    }
  }

  // One dtype for all, by torch's promotion.
  void promote() {
    auto dtype = tensors[0].scalar_type();
    bool mixed = false;
    for (auto& one : tensors) {
      if (!one.defined() || one.scalar_type() == dtype) continue;
      mixed = true;
      dtype = c10::promoteTypes(dtype, one.scalar_type());
    }
    TORCH_CHECK_NOT_IMPLEMENTED(at::isFloatingType(dtype), "no kernel for ", dtype);
    if (mixed) for (auto& one : tensors) if (one.defined()) one = one.to(dtype);
  }

  static OptionalTensor optional(const Tensor& t) { return t.defined() ? OptionalTensor(t) : OptionalTensor(); }

  Tensor forward() const override {
    static auto op = c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_elementwise", "").typed<decltype(forward_kernel)>();
    return op.call((int64_t)p.loss, tensors[0], tensors[1], optional(tensors[2]), optional(tensors[3]), p.alpha, p.beta, p.reduction);
  }

  Step step(const std::vector<Tensor>& t, Wanted wanted, const Tensor& upstream) const override {
    static auto op = c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_elementwise_step", "").typed<decltype(step_kernel)>();
    auto [loss, first, second] = op.call((int64_t)p.loss, t[0], t[1], optional(t[2]), optional(t[3]), p.alpha, p.beta, p.reduction,
                                         wanted[0], wanted[1], optional(upstream));
    return {loss, {first, second, Tensor()}};
  }

  Tensor unreduced(const Tensor& x, const Tensor& y, const Tensor& pos_weight) const {
    switch (p.loss) {
      case Pair::l1: return (x - y).abs();
      case Pair::mse: return (x - y).square();
      case Pair::smooth_l1: return at::smooth_l1_loss(x, y, kNone, p.beta);
      case Pair::huber: return at::huber_loss(x, y, kNone, p.beta);
      case Pair::log_cosh: return log_cosh(x - y);
      case Pair::bce: return clamped_entropy(x, y);
      case Pair::focal: return focal(x, y, p.alpha, p.beta);
      default: return at::binary_cross_entropy_with_logits(x, y, {}, optional(pos_weight), kNone);
    }
  }

  // In float at least, rounded once: as the kernels compute.
  Tensor formula(const std::vector<Tensor>& t) const override {
    auto dtype = t[0].scalar_type();
    if (!c10::isReducedFloatingType(dtype)) return wide_formula(t);
    std::vector<Tensor> wide(t);
    for (auto& one : wide) if (one.defined()) one = one.to(at::kFloat);
    return wide_formula(wide).to(dtype);
  }

  Tensor wide_formula(const std::vector<Tensor>& t) const {
    Tensor loss = unreduced(t[0], t[1], t[3]);
    if (!t[2].defined()) return reduce(loss, p.reduction);
    loss = loss * t[2];
    bool by_weight = p.reduction == kMean && (p.loss == Pair::l1 || p.loss == Pair::mse);
    return by_weight ? loss.sum() / t[2].sum() : reduce(loss, p.reduction);
  }
};

std::unique_ptr<Call> elementwise(Pair loss, double alpha, double beta, int64_t reduction, const Tensor& input, const Tensor& target,
                                  const OptionalTensor& weight = {}, const OptionalTensor& pos_weight = {}) {
  return std::make_unique<ElementwiseCall>(Parameters{loss, alpha, beta, reduction}, input, target, weight, pos_weight);
}

void require_same(const Tensor& input, const Tensor& other) {
  TORCH_CHECK_VALUE(same_shape(input, other), "shapes must be the same: ", input.sym_sizes(), " and ", other.sym_sizes());
}
void require_floating(const Tensor& target) {
  TORCH_CHECK(target.is_floating_point(), "target must be floating point, got ", target.scalar_type());
}
void require_same(const Tensor& input, const OptionalTensor& other) {
  if (has_value(other)) require_same(input, *other);
}
// A weight that broadcasts to input without enlarging it.
void require_expandable(const Tensor& input, const OptionalTensor& weight) {
  if (has_value(weight)) (void)weight->expand_symint(input.sym_sizes());
}

struct L1Loss {
  LOSSIMPL_LOSS(l1_loss, "(Tensor input, Tensor target, int reduction=1, Tensor? weight=None) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, int64_t reduction, const OptionalTensor& weight) {
    require_same(input, weight);
    return elementwise(Pair::l1, 0, 0, reduction, input, target, weight);
  }
};

struct MseLoss {
  LOSSIMPL_LOSS(mse_loss, "(Tensor input, Tensor target, int reduction=1, Tensor? weight=None) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, int64_t reduction, const OptionalTensor& weight) {
    require_same(input, weight);
    return elementwise(Pair::mse, 0, 0, reduction, input, target, weight);
  }
};

struct SmoothL1Loss {
  LOSSIMPL_LOSS(smooth_l1_loss, "(Tensor input, Tensor target, int reduction=1, float beta=1.0) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, int64_t reduction, double beta) {
    TORCH_CHECK(beta >= 0, "beta must be at least 0, got ", beta);
    bool wide = input.scalar_type() == at::kDouble || target.scalar_type() == at::kDouble;
    bool quadratic = wide ? beta > 0 : static_cast<float>(beta) > 0;
    return elementwise(quadratic ? Pair::smooth_l1 : Pair::l1, 0, beta, reduction, input, target);
  }
};

struct HuberLoss {
  LOSSIMPL_LOSS(huber_loss, "(Tensor input, Tensor target, int reduction=1, float delta=1.0, Tensor? weight=None) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, int64_t reduction, double delta, const OptionalTensor& weight) {
    TORCH_CHECK(delta > 0, "delta must be above 0, got ", delta);
    require_same(input, weight);
    auto call = elementwise(Pair::huber, 0, delta, reduction, input, target, weight);
    auto dtype = input.scalar_type();
    call->result_dtype = has_value(weight) ? c10::promoteTypes(dtype, weight->scalar_type()) : dtype;
    return call;
  }
};

struct LogCoshLoss {
  LOSSIMPL_LOSS(log_cosh_loss, "(Tensor input, Tensor target, int reduction=1) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, int64_t reduction) {
    return elementwise(Pair::log_cosh, 0, 0, reduction, input, target);
  }
};

struct BinaryCrossEntropy {
  LOSSIMPL_LOSS(binary_cross_entropy, "(Tensor input, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, const OptionalTensor& weight, int64_t reduction) {
    require_same(input, target);
    require_expandable(input, weight);
    TORCH_CHECK(input.scalar_type() == target.scalar_type(), "input and target must have one dtype");
    return elementwise(Pair::bce, 0, 0, reduction, input, target, weight);
  }
};

struct BinaryCrossEntropyWithLogits {
  LOSSIMPL_LOSS(binary_cross_entropy_with_logits,
                "(Tensor input, Tensor target, Tensor? weight=None, int reduction=1, Tensor? pos_weight=None) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& input, const Tensor& target, const OptionalTensor& weight, int64_t reduction,
                                    const OptionalTensor& pos_weight) {
    require_same(input, target);
    require_floating(target);
    require_expandable(input, weight);
    require_expandable(input, pos_weight);
    return elementwise(Pair::bce_logits, 0, 0, reduction, input, target, weight, pos_weight);
  }
};

struct SigmoidFocalLoss {
  LOSSIMPL_LOSS(sigmoid_focal_loss, "(Tensor inputs, Tensor targets, float alpha=0.25, float gamma=2.0, int reduction=0) -> Tensor")
  static std::unique_ptr<Call> make(const Tensor& inputs, const Tensor& targets, double alpha, double gamma, int64_t reduction) {
    require_same(inputs, targets);
    require_floating(targets);
    TORCH_CHECK_VALUE(gamma >= 0, "gamma must be at least 0, got ", gamma);
    TORCH_CHECK_VALUE(alpha <= 1, "alpha must be at most 1, got ", alpha);
    return elementwise(Pair::focal, alpha, gamma, reduction, inputs, targets);
  }
};

}  // namespace
}  // namespace lossimpl

TORCH_LIBRARY_FRAGMENT(lossimpl, m) {
  m.def("_elementwise(int loss, Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, float alpha, float beta, "
        "int reduction) -> Tensor");
  m.def("_elementwise_step(int loss, Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, float alpha, float beta, "
        "int reduction, bool want_input, bool want_target, Tensor? upstream) -> (Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(lossimpl, CPU, m) {
  m.impl("_elementwise", &lossimpl::forward_kernel);
  m.impl("_elementwise_step", &lossimpl::step_kernel);
}
LOSSIMPL_FAMILY(lossimpl::L1Loss, lossimpl::MseLoss, lossimpl::SmoothL1Loss, lossimpl::HuberLoss, lossimpl::LogCoshLoss,
                lossimpl::BinaryCrossEntropy, lossimpl::BinaryCrossEntropyWithLogits, lossimpl::SigmoidFocalLoss)
