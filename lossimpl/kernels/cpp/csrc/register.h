// Registration of a loss's operator on CPU: autograd, plain and autocast kernels from one function that makes a Call.
#pragma once
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "call.h"

namespace lossimpl {

// Whether the shapes are equal; they may be symbolic.
inline bool same_shape(const Tensor& a, const Tensor& b) {
  return a.dim() == b.dim() && a.sym_sizes() == b.sym_sizes();
}

inline Tensor to_float(const Tensor& t) { return at::autocast::cached_cast(at::kFloat, t, c10::DeviceType::CPU); }
inline OptionalTensor to_float(const OptionalTensor& t) {
  return at::autocast::cached_cast(at::kFloat, t, c10::DeviceType::CPU);
}
template <class T>
T to_float(const T& other) {
  return other;
}

// `Loss` has a name and make(arguments...) -> std::unique_ptr<Call>, with the arguments of the operator's schema, which
// lossimpl/operators.py defines.
template <class Loss, class Make = decltype(&Loss::make)>
struct Operator;

template <class Loss, class... A>
struct Operator<Loss, std::unique_ptr<Call> (*)(A...)> {
  // Makes the call, computes its loss by `compute`, and gives it the dtype that it must have.
  template <class F>
  static Tensor run(F compute, const A&... a) {
    return refusing([&] {
      auto call = Loss::make(a...);
      auto dtype = call->result_dtype;
      Tensor loss = compute(std::move(call));
      return dtype ? loss.to(*dtype) : loss;
    });
  }
  static Tensor autograd(A... a) { return run(differentiate, a...); }
  static Tensor plain(A... a) {
    return run([](std::unique_ptr<Call> call) { return call->value(call->tensors); }, a...);
  }

  // Losses run in float32 under autocast, as torch's do.
  static Tensor autocast(A... a) {
    c10::impl::ExcludeDispatchKeyGuard below(c10::autocast_dispatch_keyset);
    static auto op = c10::Dispatcher::singleton().findSchemaOrThrow(Loss::qualified, "").template typed<Tensor(A...)>();
    return op.call(to_float(a)...);
  }
};

template <class... Losses>
void implement_autograd(torch::Library& m) {
  (m.impl(Losses::name, &Operator<Losses>::autograd), ...);
}
template <class... Losses>
void implement_plain(torch::Library& m) {
  (m.impl(Losses::name, &Operator<Losses>::plain), ...);
}
template <class... Losses>
void implement_autocast(torch::Library& m) {
  (m.impl(Losses::name, &Operator<Losses>::autocast), ...);
}

}  // namespace lossimpl

// The losses of one file: LOSSIMPL_FAMILY(losses...).
#define LOSSIMPL_FAMILY(...)                                                                     \
  TORCH_LIBRARY_IMPL(lossimpl, AutogradCPU, m) { lossimpl::implement_autograd<__VA_ARGS__>(m); } \
  TORCH_LIBRARY_IMPL(lossimpl, CPU, m) { lossimpl::implement_plain<__VA_ARGS__>(m); }            \
  TORCH_LIBRARY_IMPL(lossimpl, AutocastCPU, m) { lossimpl::implement_autocast<__VA_ARGS__>(m); }

#define LOSSIMPL_LOSS(loss)                  \
  static constexpr const char* name = #loss; \
  static constexpr const char* qualified = "lossimpl::" #loss;
