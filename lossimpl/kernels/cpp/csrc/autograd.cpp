// The autograd node of every loss.
//
// Reduction mean or sum: forward computes and stores the gradient. Backward returns it if the incoming gradient is one,
//   and otherwise scales it. In float16 and bfloat16 it recomputes it with the incoming gradient instead, so that the
//   result is rounded once and a gradient scaler can prevent underflow.
// Reduction none: nothing is stored; backward computes the gradient in one pass with the incoming one.
// A retained graph keeps its gradients and returns copies. Under create_graph the family's formula in torch
// operations is differentiated.
#include <ATen/TensorSubclassLikeUtils.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "call.h"

namespace lossimpl {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

bool needs_gradient(const Tensor& t) { return t.defined() && t.requires_grad(); }
bool has_tangent(const Tensor& t) { return t.defined() && t._fw_grad(0).defined(); }

// Inside torch.func transforms the formula is used: torch's operations have batching rules and derivatives of any
// order.
bool transformed(const Tensor& t) {
  return t.defined() && t.key_set().has_any(c10::DispatchKeySet(
                            {c10::DispatchKey::FuncTorchGradWrapper, c10::DispatchKey::FuncTorchBatched}));
}

bool plain(const Tensor& t) { return !at::isTensorSubclassLike(t) && !c10::impl::dispatch_mode_enabled(); }

bool is_one(const Tensor& t) {
  if (t.dim() != 0 || !plain(t)) return false;
  switch (t.scalar_type()) {
    case at::kFloat:
      return *t.const_data_ptr<float>() == 1;
    case at::kDouble:
      return *t.const_data_ptr<double>() == 1;
    case at::kHalf:
      return *t.const_data_ptr<at::Half>() == 1;
    case at::kBFloat16:
      return *t.const_data_ptr<at::BFloat16>() == 1;
    default:
      return false;
  }
}

struct LossBackward : torch::autograd::Node {
  std::unique_ptr<Call> call;
  std::vector<SavedVariable> tensors;
  std::array<SavedVariable, 3> gradients;
  bool stored = false;     // forward computed the gradients
  bool releasing = false;  // this backward is the last one

  std::string name() const override { return "LossimplBackward"; }

  void will_release_variables() override { releasing = true; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& one : tensors) one.reset_data();
    for (auto& one : gradients) one.reset_data();
  }

  std::vector<Tensor> unpacked() const {
    std::vector<Tensor> out;
    for (auto& one : tensors) out.push_back(one.unpack());
    return out;
  }

  Wanted wanted() const {
    Wanted out{};
    for (size_t i = 0; i < call->differentiable; i++) out[i] = task_should_compute_output(i);
    return out;
  }

  variable_list apply(variable_list&& incoming) override {
    std::lock_guard<std::mutex> lock(mutex_);
    variable_list out(call->differentiable);
    const Tensor& upstream = incoming[0];
    if (!upstream.defined()) return out;
    if (at::GradMode::is_enabled()) return by_formula(upstream);
    if (!stored || (c10::isReducedFloatingType(upstream.scalar_type()) && !is_one(upstream))) {
      auto step = call->step(unpacked(), wanted(), upstream);
      for (size_t i = 0; i < out.size(); i++)
        if (wanted()[i]) out[i] = step.gradients[i];
      return out;
    }
    for (size_t i = 0; i < out.size(); i++)
      if (wanted()[i]) out[i] = scaled(gradients[i], upstream);
    return out;
  }

  // The stored gradient times upstream. A gradient without other references is returned or scaled in place, any other
  // is copied.
  Tensor scaled(SavedVariable& saved, const Tensor& upstream) {
    Tensor gradient = saved.unpack();
    if (!gradient.defined()) return gradient;
    if (releasing) saved.reset_data();
    bool exclusive = releasing && plain(gradient) && gradient.use_count() == 1 && gradient.storage().use_count() == 1;
    if (is_one(upstream)) return exclusive || !plain(gradient) ? gradient : gradient.clone();
    return exclusive && plain(upstream) ? gradient.mul_(upstream) : gradient * upstream;
  }

  // The formula is differentiated with respect to views, so that a tensor that is passed twice gets separate gradients.
  variable_list by_formula(const Tensor& upstream) {
    auto own = unpacked();
    variable_list inputs, out(call->differentiable);
    std::vector<size_t> indices;
    for (size_t i = 0; i < call->differentiable; i++) {
      if (!needs_gradient(own[i])) continue;
      own[i] = own[i].view_as(own[i]);
      inputs.push_back(own[i]);
      indices.push_back(i);
    }
    auto found = torch::autograd::grad({call->value(own)}, inputs, {upstream}, true, true, true);
    for (size_t i = 0; i < indices.size(); i++) out[indices[i]] = found[i];
    return out;
  }
};

// In torch 2.13 nodes are intrusive_ptr targets, in earlier versions they are held by shared_ptr.
template <class Node>
auto make_node() {
  if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Node>)
    return c10::make_intrusive<Node>();
  else
    return std::make_shared<Node>();
}

}  // namespace

Tensor differentiate(std::unique_ptr<Call> call) {
  auto& tensors = call->tensors;
  bool wants = false, needs_formula = false;
  Wanted wanted{};
  for (size_t i = 0; i < tensors.size(); i++) {
    bool gradient = at::GradMode::is_enabled() && needs_gradient(tensors[i]);
    if (i < call->differentiable)
      wanted[i] = gradient, wants |= gradient;
    else
      needs_formula |= gradient;
    needs_formula |= has_tangent(tensors[i]) || transformed(tensors[i]);
  }
  if (needs_formula) return call->value(tensors);
  if (!wants) {
    at::AutoDispatchBelowADInplaceOrView below;
    return call->value(tensors);
  }
  auto node = make_node<LossBackward>();
  Step step;
  {
    at::AutoDispatchBelowADInplaceOrView below;
    node->stored = call->reduction != kNone;
    if (node->stored)
      step = call->step(tensors, wanted, {});
    else
      step.loss = call->value(tensors);
  }
  torch::autograd::edge_list edges;
  for (size_t i = 0; i < call->differentiable; i++)
    edges.push_back(wanted[i] ? torch::autograd::impl::gradient_edge(tensors[i]) : torch::autograd::Edge());
  node->set_next_edges(std::move(edges));
  for (auto& one : tensors) node->tensors.emplace_back(one, false);
  for (size_t i = 0; i < call->differentiable; i++)
    if (node->stored && wanted[i]) node->gradients[i] = SavedVariable(step.gradients[i], false);
  node->call = std::move(call);
  node->call->tensors.clear();
  step.gradients = {};
  torch::autograd::set_history(step.loss, node);
  return step.loss;
}

}  // namespace lossimpl
