// One vector of an elementwise loss: its operands, its loss and slopes, and the weights and gradients applied to them.
#pragma once
#include "logit_formulas.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// The operands of one call, stored as S.
template <class S, class Formula, bool STEP>
struct Element {
  using E = typename S::Element;
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr int kLanes = S::kLanes;
  static constexpr bool kUsesTable = Formula::kTabulated && std::is_same_v<S, BF16>;

  const ElementwiseArguments& a;
  const E *input, *target, *weight, *pos_weight, *upstream;
  E *loss_out, *grad_input, *grad_target;
  Scalar scale, scale_rest;  // the scale and its rounding error
  FormulaParameters<V> parameters;
  const Entry* table = nullptr;

  explicit INLINE Element(const ElementwiseArguments& a)
      : a(a),
        input((const E*)a.input),
        target((const E*)a.target),
        weight((const E*)a.weight),
        pos_weight((const E*)a.pos_weight),
        upstream((const E*)a.upstream),
        loss_out((E*)a.loss_out),
        grad_input((E*)a.grad_input),
        grad_target((E*)a.grad_target),
        scale((Scalar)a.scale),
        scale_rest((Scalar)(a.scale - scale)),
        parameters{V{},
                   constant<V>(a.alpha >= 0 ? a.alpha : 1),
                   constant<V>(a.alpha >= 0 ? 1 - a.alpha : 1),
                   (Scalar)a.alpha,
                   (Scalar)a.beta,
                   a.grad_target != nullptr} {
    if constexpr (kUsesTable)
      if (a.use_table) table = Table<Formula>::get();
  }

  template <class... N>
  static INLINE V load(const E* p, N... n) {
    return S::load(p, n...);
  }

  using Out = std::conditional_t<Formula::kHeavy, Inexact<S>, S>;
  INLINE void put(E* p, V v, bool stream) { stream ? Out::stream(p, v) : Out::store(p, v); }
  INLINE void put(E* p, V v, bool, int n) { Out::store(p, v, n); }

  INLINE V scaled(V slope) const {
    bool divides = Formula::kDividesByCount && scale_rest != 0;
    return divides ? fused(slope, constant<V>(scale), slope * scale_rest) : slope * scale;
  }

  template <InputClass CLASS>
  INLINE Point<V> formula(V x, V y, V prologue) const {
    return Formula::template at<STEP, CLASS>(x, y, prologue, parameters);
  }
  template <InputClass>
  INLINE Point<V> formula(V x, V y, Tabulated<V> tabulated) const {
    return Formula::template from_tabulated<STEP>(x, y, tabulated, parameters);
  }

  // Loss and slopes of the vector at i, or of its first n lanes; w and pw point at its weights. Writes every requested
  // output except the gradient of the input, which the caller writes.
  template <InputClass CLASS, class Prologue, class... N>
  INLINE Point<V> point(V x, V y, Prologue prologue, int64_t i, const E* w, const E* pw, bool stream, N... n) {
    if (pw) parameters.pos_weight = load(pw, n...);
    auto point = formula<CLASS>(x, y, prologue);
    V factor = constant<V>(1);
    if (w) {
      factor = load(w, n...);
      point.loss *= factor;
    }
    if (loss_out) put(loss_out + i, point.loss, stream, n...);
    if (!STEP) return point;
    factor = factor * scale;
    if (upstream) factor = factor * load(upstream + i, n...);
    if (grad_target) put(grad_target + i, point.d_target * factor, stream, n...);
    point.d_input = w || upstream ? point.d_input * factor : scaled(point.d_input);
    return point;
  }

  // Whether only the sum and the gradient of the input are requested, without weights.
  INLINE bool minimal() const {
    return !weight && !pos_weight && !upstream && !loss_out && !grad_target && (!STEP || grad_input);
  }
  INLINE Point<V> minimal_point(V x, V y, Tabulated<V> tabulated) const {
    auto [loss, slope, _] = Formula::template from_tabulated<STEP>(x, y, tabulated, parameters);
    return {loss, STEP ? scaled(slope) : V{}, V{}};
  }

  // The key into the table.
  INLINE E key(int64_t i) const {
    if constexpr (Formula::kKeyHasLabel)
      return Formula::key(input[i], target[i]);
    else
      return input[i];
  }
  template <bool TABLE>
  INLINE Tabulated<V> tabulated(const E* keys) const {
    if constexpr (TABLE)
      return look_up(table, keys);
    else
      return Formula::tabulated(S::load(keys));
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
