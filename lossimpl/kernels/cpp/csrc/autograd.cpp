// One autograd node for every loss. Forward has computed the gradients already; backward hands them over.
//
// reduction mean, sum: the gradient of the loss is kept. Backward returns it as it is where the incoming gradient is
// one, and
//   otherwise scales it; in float16 and bfloat16 it is computed again with the incoming gradient, so that it is rounded
//   once and a gradient scaler can save what would underflow.
// reduction none: nothing is kept; backward computes the gradient in one pass with the incoming one.
// A graph that is retained keeps its gradients, and gives copies away. Under create_graph the torch formula is
// differentiated.
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

// Inside torch.func transforms torch's operations serve: they have batching rules, and derivatives of every order.
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
  bool kept = false;       // forward computed the gradients
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
    if (!kept || (c10::isReducedFloatingType(upstream.scalar_type()) && !is_one(upstream))) {
      auto step = call->step(unpacked(), wanted(), upstream);
      for (size_t i = 0; i < out.size(); i++)
        if (wanted()[i]) out[i] = step.gradients[i];
      return out;
    }
    for (size_t i = 0; i < out.size(); i++)
      if (wanted()[i]) out[i] = scaled(gradients[i], upstream);
    return out;
  }

  // A gradient that nobody else holds is given away, or scaled where it lies; any other is left as it is.
  Tensor scaled(SavedVariable& saved, const Tensor& upstream) {
    Tensor gradient = saved.unpack();
    if (!gradient.defined()) return gradient;
    if (releasing) saved.reset_data();
    bool ours = releasing && plain(gradient) && gradient.use_count() == 1 && gradient.storage().use_count() == 1;
    if (is_one(upstream)) return ours || !plain(gradient) ? gradient : gradient.clone();
    return ours && plain(upstream) ? gradient.mul_(upstream) : gradient * upstream;
  }

  // Views stand for the tensors, so that one that is passed twice gets its two gradients apart.
  variable_list by_formula(const Tensor& upstream) {
    auto own = unpacked();
    variable_list inputs, out(call->differentiable);
    std::vector<size_t> places;
    for (size_t i = 0; i < call->differentiable; i++) {
      if (!needs_gradient(own[i])) continue;
      own[i] = own[i].view_as(own[i]);
      inputs.push_back(own[i]);
      places.push_back(i);
    }
    auto found = torch::autograd::grad({call->formula(own)}, inputs, {upstream}, true, true, true);
    for (size_t i = 0; i < places.size(); i++) out[places[i]] = found[i];
    return out;
  }
};

// torch 2.13 counts references inside the node, earlier versions outside.
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
  bool wants = false, unusual = false;
  Wanted wanted{};
  for (size_t i = 0; i < tensors.size(); i++) {
    bool gradient = at::GradMode::is_enabled() && needs_gradient(tensors[i]);
    if (i < call->differentiable)
      wanted[i] = gradient, wants |= gradient;
    else
      unusual |= gradient;
    unusual |= has_tangent(tensors[i]) || transformed(tensors[i]);
  }
  if (unusual) return call->formula(tensors);
  if (!wants) {
    at::AutoDispatchBelowADInplaceOrView below;
    return call->forward();
  }
  auto node = make_node<LossBackward>();
  Step step;
  {
    at::AutoDispatchBelowADInplaceOrView below;
    node->kept = call->reduction != kNone;
    if (node->kept)
      step = call->step(tensors, wanted, {});
    else
      step.loss = call->forward();
  }
  torch::autograd::edge_list edges;
  for (size_t i = 0; i < call->differentiable; i++)
    edges.push_back(wanted[i] ? torch::autograd::impl::gradient_edge(tensors[i]) : torch::autograd::Edge());
  node->set_next_edges(std::move(edges));
  for (auto& one : tensors) node->tensors.emplace_back(one, false);
  for (size_t i = 0; i < call->differentiable; i++)
    if (node->kept && wanted[i]) node->gradients[i] = SavedVariable(step.gradients[i], false);
  node->call = std::move(call);
  node->call->tensors.clear();
  step.gradients = {};
  torch::autograd::set_history(step.loss, node);
  return step.loss;
}

}  // namespace lossimpl
