// One vector of a loss of two tensors: where its operands lie, its loss, its slopes, and what becomes of them.
#pragma once
#include "logit_formulas.h"
#include "storage.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

// One call's operands, in memory type S.
template <class S, class Formula, bool STEP>
struct Element {
  using E = typename S::Element;
  using V = typename S::V;
  using Scalar = typename S::Math::Scalar;
  static constexpr int kLanes = S::kLanes;
  static constexpr bool kLooksUp = Formula::kKnown && std::is_same_v<S, BF16>;

  const ElementwiseArguments& a;
  const E *input, *target, *weight, *pos_weight, *upstream;
  E *loss_out, *grad_input, *grad_target;
  Scalar scale, scale_rest;  // what rounding took from the scale
  Given<V> given;
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
        given{V{},
              constant<V>(a.alpha >= 0 ? a.alpha : 1),
              constant<V>(a.alpha >= 0 ? 1 - a.alpha : 1),
              (Scalar)a.alpha,
              (Scalar)a.beta,
              a.grad_target != nullptr} {
    if constexpr (kLooksUp)
      if (a.many) table = Table<Formula>::get();
  }

  template <class... N>
  static INLINE V load(const E* p, N... n) {
    return S::load(p, n...);
  }

  using Out = std::conditional_t<Formula::kHeavy, Inexact<S>, S>;
  INLINE void put(E* p, V v, bool stream) { stream ? Out::stream(p, v) : Out::store(p, v); }
  INLINE void put(E* p, V v, bool, int n) { Out::store(p, v, n); }

  INLINE V scaled(V slope) const {
    bool divides = Formula::kDivides && scale_rest != 0;
    return divides ? fused(slope, constant<V>(scale), slope * scale_rest) : slope * scale;
  }

  template <Ease EASE>
  INLINE Point<V> formula(V x, V y, V early) const {
    return Formula::template at<STEP, EASE>(x, y, early, given);
  }
  template <Ease>
  INLINE Point<V> formula(V x, V y, Known<V> known) const {
    return Formula::template at_known<STEP>(x, y, known, given);
  }

  // Loss and slopes of one vector at i (of its first n lanes, where n is given); w and pw point at its weights. What is
  // asked for besides the first slope is written here.
  template <Ease EASE, class Early, class... N>
  INLINE Point<V> point(V x, V y, Early early, int64_t i, const E* w, const E* pw, bool stream, N... n) {
    if (pw) given.pos_weight = load(pw, n...);
    auto point = formula<EASE>(x, y, early);
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

  // Nothing is asked for but the sum and the first slope.
  INLINE bool bare() const {
    return !weight && !pos_weight && !upstream && !loss_out && !grad_target && (!STEP || grad_input);
  }
  INLINE Point<V> bare_point(V x, V y, Known<V> known) const {
    auto [loss, slope, _] = Formula::template at_known<STEP>(x, y, known, given);
    return {loss, STEP ? scaled(slope) : V{}, V{}};
  }

  // What a table is asked by.
  INLINE E key(int64_t i) const {
    if constexpr (Formula::kKeyed)
      return Formula::key(input[i], target[i]);
    else
      return input[i];
  }
  template <bool TABLE>
  INLINE Known<V> known(const E* keys) const {
    if constexpr (TABLE)
      return look_up(table, keys);
    else
      return Formula::known(S::load(keys));
  }
};

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
