// Triplet margin loss as a torch operator.
#include "buffers.h"
#include "register.h"

namespace lossimpl {
namespace {

constexpr int64_t kElementsPerTask = 16384;  // fewer elements are not worth a second thread

struct Parameters {
  double margin, p, eps;
  bool swap;
  int64_t reduction;
};

Tensor gradient_of(const Tensor& t, bool wanted) { return wanted ? empty_like_cached(t) : at::empty({0}, t.options()); }

// The kernel writes contiguous rows; a gradient with another layout is copied from a buffer.
struct RowGradient {
  Tensor result, rows;
  RowGradient(const Tensor& of, bool wanted) : result(gradient_of(of, wanted)) {
    if (wanted) rows = result.is_contiguous() ? result : at::empty(of.sizes(), of.options());
  }
  void* data() const { return rows.defined() ? rows.mutable_data_ptr() : nullptr; }
  void finish() {
    if (rows.defined() && !rows.is_same(result)) result.copy_(rows);
  }
};

using Gradients = std::tuple<Tensor, Tensor, Tensor, Tensor>;

Gradients run(const Parameters& p, const Tensor& anchor, const Tensor& positive, const Tensor& negative, Wanted wanted,
              const OptionalTensor& upstream) {
  Tensor a = anchor.contiguous(), b = positive.contiguous(), c = negative.contiguous(), incoming;
  int64_t width = a.size(-1);
  auto shape = a.sizes().slice(0, a.dim() - 1);
  int64_t rows = c10::multiply_integers(shape);
  double count = p.reduction == kMean ? static_cast<double>(rows) : 1, scale = 1 / count;
  if (has_value(upstream) && p.reduction != kNone)
    scale *= upstream->item<double>();
  else if (has_value(upstream))
    incoming = upstream->to(at::kDouble).contiguous();
  RowGradient ga(anchor, wanted[0]), gb(positive, wanted[1]), gc(negative, wanted[2]);
  std::vector<double> losses(rows);
  int64_t written = a.numel() * a.element_size() * (wanted[0] + wanted[1] + wanted[2]);
  TripletArguments arguments{dtype_of(a),
                             a.const_data_ptr(),
                             b.const_data_ptr(),
                             c.const_data_ptr(),
                             incoming.defined() ? incoming.const_data_ptr<double>() : nullptr,
                             losses.data(),
                             ga.data(),
                             gb.data(),
                             gc.data(),
                             width,
                             scale,
                             p.margin,
                             p.p,
                             p.eps,
                             p.swap,
                             written >= kStreamBytes};
  at::parallel_for(0, rows, std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, width)),
                   [&](int64_t begin, int64_t end) { kernels().triplet(arguments, begin, end); });
  ga.finish(), gb.finish(), gc.finish();
  if (p.reduction != kNone)
    return {scalar(pairwise_sum(losses.data(), rows) / count, a.scalar_type()), ga.result, gb.result, gc.result};
  Tensor loss = at::empty(shape, a.options().dtype(at::kDouble));
  std::copy(losses.begin(), losses.end(), loss.mutable_data_ptr<double>());
  return {loss.to(a.scalar_type()), ga.result, gb.result, gc.result};
}

Tensor forward_kernel(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p,
                      double eps, bool swap, int64_t reduction) {
  return std::get<0>(run({margin, p, eps, swap, reduction}, anchor, positive, negative, {}, {}));
}

Gradients step_kernel(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p,
                      double eps, bool swap, int64_t reduction, bool want_anchor, bool want_positive,
                      bool want_negative, const OptionalTensor& upstream) {
  return run({margin, p, eps, swap, reduction}, anchor, positive, negative, {want_anchor, want_positive, want_negative},
             upstream);
}

struct TripletCall : Call {
  Parameters p;

  TripletCall(Parameters p, const Tensor& anchor, const Tensor& positive, const Tensor& negative) : p(p) {
    tensors = {anchor, positive, negative};
    differentiable = 3;
    reduction = p.reduction;
    TORCH_CHECK(anchor.dim() == positive.dim() && anchor.dim() == negative.dim(), "anchor has ", anchor.dim(),
                " dimensions, positive ", positive.dim(), ", negative ", negative.dim(), ": they must be as many");
    TORCH_CHECK(anchor.dim() > 0, "anchor must have at least one dimension");
    if (!same_shape(anchor, positive) || !same_shape(anchor, negative)) {
      require_broadcast("anchor", anchor, "positive", positive);
      require_broadcast("anchor", anchor, "negative", negative);
      require_broadcast("positive", positive, "negative", negative);
      tensors = at::broadcast_tensors(tensors);
    }
    TORCH_CHECK(tensors[0].sym_size(-1) != 0 || (p.p >= 0 && !std::isinf(p.p)), "no norm of order ", p.p,
                " over empty vectors");
    auto dtype =
        c10::promoteTypes(c10::promoteTypes(anchor.scalar_type(), positive.scalar_type()), negative.scalar_type());
    if (at::isIntegralType(dtype, true)) dtype = c10::typeMetaToScalarType(at::get_default_dtype());
    TORCH_CHECK_NOT_IMPLEMENTED(at::isFloatingType(dtype), "no kernel for ", dtype);
    for (auto& one : tensors)
      if (one.scalar_type() != dtype) one = one.to(dtype);
  }

  Tensor value(const std::vector<Tensor>& t) const override {
    static auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_triplet", "").typed<decltype(forward_kernel)>();
    return op.call(t[0], t[1], t[2], p.margin, p.p, p.eps, p.swap, p.reduction);
  }

  Step step(const std::vector<Tensor>& t, Wanted wanted, const Tensor& upstream) const override {
    static auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("lossimpl::_triplet_step", "").typed<decltype(step_kernel)>();
    auto [loss, a, b, c] = op.call(t[0], t[1], t[2], p.margin, p.p, p.eps, p.swap, p.reduction, wanted[0], wanted[1],
                                   wanted[2], upstream.defined() ? OptionalTensor(upstream) : OptionalTensor());
    return {loss, {a, b, c}};
  }
};

struct TripletMarginLoss {
  LOSSIMPL_LOSS(triplet_margin_loss)
  static std::unique_ptr<Call> make(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
                                    double p, double eps, bool swap, std::string_view reduction) {
    TORCH_CHECK_VALUE(!(margin <= 0), "margin must be greater than 0, got ", margin);
    return std::make_unique<TripletCall>(Parameters{margin, p, eps, swap, reduction_of(reduction)}, anchor, positive,
                                         negative);
  }
};

}  // namespace
}  // namespace lossimpl

TORCH_LIBRARY_IMPL(lossimpl, CPU, m) {
  m.impl("_triplet", &lossimpl::forward_kernel);
  m.impl("_triplet_step", &lossimpl::step_kernel);
}
LOSSIMPL_FAMILY(lossimpl::TripletMarginLoss)
