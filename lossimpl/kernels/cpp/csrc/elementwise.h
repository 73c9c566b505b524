// Elementwise losses: one loop over the elements for every formula, dtype, weight and reduction.
#pragma once
#include "element.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr int64_t kShortSegment = 2048;      // elements
constexpr int64_t kGroup = 32;               // vectors
constexpr int64_t kPrefetchDistance = 1024;  // elements; table lookups leave no slack to hide latency

// Calls f with the input class as a compile-time constant.
template <class F>
INLINE auto with_class(InputClass input_class, F f) {
  switch (input_class) {
    case InputClass::hard_labels:
      return f(std::integral_constant<InputClass, InputClass::hard_labels>());
    case InputClass::regular:
      return f(std::integral_constant<InputClass, InputClass::regular>());
    default:
      return f(std::integral_constant<InputClass, InputClass::any>());
  }
}

// The elements begin..end of one call.
template <class S, class Formula, bool STEP>
struct Elementwise : Element<S, Formula, STEP> {
  using Base = Element<S, Formula, STEP>;
  using Base::a, Base::input, Base::target, Base::weight, Base::pos_weight, Base::loss_out, Base::grad_input;
  using Base::grad_target, Base::parameters, Base::table, Base::load, Base::put, Base::kLanes, Base::kUsesTable;
  using Base::key;
  using Base::minimal, Base::minimal_point;
  using typename Base::E, typename Base::V;

  explicit INLINE Elementwise(const ElementwiseArguments& a) : Base(a) {}

  // Computes the whole vectors of a group on the path of CLASS. Returns the class that the values turn out to have; if
  // that is below CLASS, nothing else is done.
  // In a long segment eight vectors are added in float before they enter the sum in double: their rounding errors
  // average out, which those of a short segment would not.
  // The prologue of the formula runs for the whole group first: a processor's reorder window covers about three
  // vectors, and longer chains of dependent instructions would leave its pipelines idle. Half-precision inputs are
  // likewise widened before the loop, and their gradients narrowed after it.
  template <InputClass CLASS>
  INLINE InputClass group(int64_t begin, int64_t stop, const E* w, const E* pw, bool stream, bool is_short,
                          Total& total) {
    constexpr bool kStaged = Formula::kHeavy && sizeof(E) == 2;
    InputSummary<typename S::Math> summary;
    V prologue[kGroup], xs[kGroup], ys[kGroup], slopes[kGroup];
    for (int64_t i = begin, j = 0; i < stop; i += kLanes, j++) {
      V x = S::load(input + i), y = S::load(target + i);
      Formula::observe(summary, x, y);
      if (Formula::kHasPrologue) prologue[j] = Formula::template prologue<STEP, CLASS>(x, y);
      if (kStaged) xs[j] = x, ys[j] = y;
    }
    InputClass found = Formula::classify(summary, parameters.want_target);
    if (found < CLASS) return found;
    const int64_t block = is_short || sizeof(E) == 8 ? kLanes : 8 * kLanes;
    for (int64_t i = begin, j = 0; i < stop;) {
      V sum{};
      for (int64_t block_end = std::min(stop, i + block); i < block_end; i += kLanes, j++) {
        V x = kStaged ? xs[j] : S::load(input + i), y = kStaged ? ys[j] : S::load(target + i);
        auto one = this->template point<CLASS>(x, y, prologue[j], i, w, pw, stream);
        if (kStaged) slopes[j] = one.d_input;
        if (!kStaged && STEP && grad_input) put(grad_input + i, one.d_input, stream);
        sum += one.loss;
        w += w ? kLanes : 0, pw += pw ? kLanes : 0;
      }
      total.add(sum);
    }
    if (kStaged && STEP && grad_input)
      for (int64_t i = begin, j = 0; i < stop; i += kLanes, j++) put(grad_input + i, slopes[j], stream);
    return found;
  }

  // The same with tabulated values, from a table if there is one. Gradients are written even if the class turns out to
  // be any; the group is then computed again.
  template <bool TABLE, bool MINIMAL>
  INLINE InputClass tabulated_group(int64_t begin, int64_t stop, const E* w, const E* pw, bool stream, bool is_short,
                                    Total& total) {
    InputSummary<typename S::Math> summary;
    Total added = total;
    E keys[kGroup * kLanes];
    if constexpr (Formula::kKeyHasLabel)
      for (int64_t i = begin; i < stop; i++) keys[i - begin] = key(i);
    const int64_t block = is_short ? kLanes : 8 * kLanes;
    for (int64_t i = begin; i < stop;) {
      V sum{};
      for (int64_t block_end = std::min(stop, i + block); i < block_end; i += kLanes) {
        __builtin_prefetch(input + i + kPrefetchDistance), __builtin_prefetch(target + i + kPrefetchDistance);
        V x = S::load(input + i), y = S::load(target + i);
        Formula::observe(summary, x, y);
        auto of_key = this->template tabulated<TABLE>(Formula::kKeyHasLabel ? keys + (i - begin) : input + i);
        auto one = MINIMAL ? minimal_point(x, y, of_key)
                           : this->template point<Formula::kTabulatedClass>(x, y, of_key, i, w, pw, stream);
        if (STEP && (MINIMAL || grad_input)) put(grad_input + i, one.d_input, stream);
        sum += one.loss;
        if (!MINIMAL) w += w ? kLanes : 0, pw += pw ? kLanes : 0;
      }
      added.add(sum);
    }
    InputClass found = usable(Formula::classify(summary, parameters.want_target));
    if (found != InputClass::any) total = added;
    return found;
  }

  // With a table there are only two classes: the one that it covers, and any.
  static INLINE InputClass usable(InputClass input_class) {
    if constexpr (kUsesTable) return std::min(input_class, Formula::kTabulatedClass);
    return input_class;
  }

  template <class... Arguments>
  INLINE InputClass group_of_class(InputClass input_class, Arguments&&... arguments) {
    if constexpr (kUsesTable) {
      if (input_class == InputClass::any) return group<InputClass::any>(arguments...);
      if (!table) return tabulated_group<false, false>(arguments...);
      return minimal() ? tabulated_group<true, true>(arguments...) : tabulated_group<true, false>(arguments...);
    } else {
      return with_class(input_class, [&](auto as) INLINE_LAMBDA { return group<as()>(arguments...); });
    }
  }

  template <InputClass CLASS>
  INLINE auto prologue_of_tail(V x, V y, int64_t i, int rest) const {
    if constexpr (kUsesTable && CLASS != InputClass::any) {
      E keys[kLanes]{};
      for (int j = 0; j < rest; j++) keys[j] = key(i + j);
      return this->template tabulated<false>(keys);
    } else {
      return Formula::template prologue<STEP, CLASS>(x, y);
    }
  }

  // The last elements, `rest` lanes of a vector.
  template <InputClass CLASS>
  INLINE V tail(int64_t i, const E* w, const E* pw, int rest) {
    V x = load(input + i, rest), y = load(target + i, rest);
    auto last = this->template point<CLASS>(x, y, prologue_of_tail<CLASS>(x, y, i, rest), i, w, pw, false, rest);
    if (STEP && grad_input) put(grad_input + i, last.d_input, false, rest);
    return last.loss;
  }
  INLINE InputClass class_of_tail(int64_t i, int rest) const {
    V x = load(input + i, rest), y = load(target + i, rest);
    auto inside = iota<typename S::Math>() < rest;
    InputSummary<typename S::Math> summary;
    Formula::observe(summary, inside ? x : splat(x[0], x), inside ? y : splat(y[0], y));
    return Formula::classify(summary, parameters.want_target);
  }

  // A segment over which the weights do not repeat. A group is computed on the path of the previous group's class, and
  // again on another path if its values do not allow that one.
  INLINE double segment(int64_t i, int64_t end, const E* w, const E* pw) {
    Total total;
    bool stream = a.stream && aligned<S>(grad_input + i) && aligned<S>(grad_target + i) && aligned<S>(loss_out + i);
    bool is_short = end - i <= kShortSegment;
    int64_t whole = end - (end - i) % kLanes;
    InputClass input_class = usable(Formula::best_class(parameters.want_target));
    while (i < whole) {
      int64_t stop = std::min(whole, i + kGroup * kLanes), n = stop - i;
      InputClass found = group_of_class(input_class, i, stop, w, pw, stream, is_short, total);
      bool fits = found >= input_class;
      input_class = usable(found);
      if (fits) i = stop, w += w ? n : 0, pw += pw ? n : 0;
    }
    int rest = static_cast<int>(end - i);
    if (rest) {
      InputClass input_class = usable(class_of_tail(i, rest));
      V last = with_class(input_class, [&](auto as) INLINE_LAMBDA { return tail<as()>(i, w, pw, rest); });
      total.add(iota<typename S::Math>() < rest ? last : V{});
    }
    return total.total();
  }

  INLINE double run(int64_t begin, int64_t end) {
    double sum = 0;
    while (begin < end) {
      int64_t stop = end, w = 0, pw = 0;
      if (weight) w = begin % a.weight_period, stop = std::min(stop, begin + a.weight_period - w);
      if (pos_weight) pw = begin % a.pos_weight_period, stop = std::min(stop, begin + a.pos_weight_period - pw);
      sum += segment(begin, stop, weight ? weight + w : nullptr, pos_weight ? pos_weight + pw : nullptr);
      begin = stop;
    }
    if (a.stream) fence_stream();
    return sum;
  }
};

template <class Formula>
double run_formula(const ElementwiseArguments& a, int64_t begin, int64_t end) {
  return with_storage(a.dtype, [&](auto storage) {
    using S = decltype(storage);
    if (a.grad_input || a.grad_target) return Elementwise<S, Formula, true>(a).run(begin, end);
    return Elementwise<S, Formula, false>(a).run(begin, end);
  });
}

double elementwise(const ElementwiseArguments& a, int64_t begin, int64_t end) {
  switch (a.loss) {
    case PairLoss::l1:
      return run_formula<L1>(a, begin, end);
    case PairLoss::mse:
      return run_formula<Mse>(a, begin, end);
    case PairLoss::smooth_l1:
      return run_formula<SmoothL1>(a, begin, end);
    case PairLoss::huber:
      return run_formula<Huber>(a, begin, end);
    case PairLoss::log_cosh:
      return run_formula<LogCosh>(a, begin, end);
    case PairLoss::bce:
      return run_formula<Bce>(a, begin, end);
    case PairLoss::focal:
      return a.beta == 2 ? run_formula<Focal<true>>(a, begin, end) : run_formula<Focal<false>>(a, begin, end);
    default:
      return a.pos_weight ? run_formula<BceLogitsPositive>(a, begin, end) : run_formula<BceLogits>(a, begin, end);
  }
}

// The sum of values[begin, end), the divisor of a weighted mean.
double sum(Dtype dtype, const void* values, int64_t begin, int64_t end) {
  return with_storage(dtype, [&](auto storage) {
    using S = decltype(storage);
    auto* v = (const typename S::Element*)values;
    Total total;
    for (; begin + S::kLanes <= end; begin += S::kLanes) total.add(S::load(v + begin));
    if (begin < end) total.add(S::load(v + begin, static_cast<int>(end - begin)));
    return total.total();
  });
}

}  // namespace LOSSIMPL_ISA
}  // namespace lossimpl
