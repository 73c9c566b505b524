// Losses of two tensors: one loop over elements that serves every formula, dtype, weight and reduction.
#pragma once
#include "element.h"

namespace lossimpl {
namespace LOSSIMPL_ISA {

constexpr int64_t kShort = 2048;  // elements
constexpr int64_t kGroup = 32;    // vectors
constexpr int64_t kAhead = 1024;  // elements that are fetched ahead where a table leaves no room to wait for memory

// Calls f with the ease as a constant.
template <class F>
INLINE auto with_ease(Ease ease, F f) {
  switch (ease) {
    case Ease::hard:
      return f(std::integral_constant<Ease, Ease::hard>());
    case Ease::plain:
      return f(std::integral_constant<Ease, Ease::plain>());
    default:
      return f(std::integral_constant<Ease, Ease::any>());
  }
}

// The elements begin..end of one call.
template <class S, class Formula, bool STEP>
struct Elementwise : Element<S, Formula, STEP> {
  using Base = Element<S, Formula, STEP>;
  using typename Base::E, typename Base::V;
  using Base::a, Base::input, Base::target, Base::weight, Base::pos_weight, Base::loss_out, Base::grad_input;
  using Base::grad_target, Base::given, Base::table, Base::load, Base::put, Base::kLanes, Base::kLooksUp, Base::key;
  using Base::bare, Base::bare_point;

  explicit INLINE Elementwise(const ElementwiseArguments& a) : Base(a) {}

  // The whole vectors of a group, taken for as easy as EASE: how easy they turn out to be, and if that is as easy,
  // their sum. In a long stretch eight are added as floats before they enter the double sum; their errors average out,
  // as those of a short one would not.
  // What a formula begins with goes ahead for the whole group: a processor looks only so many instructions ahead, which
  // are those of three vectors, and what waits in long chains leaves its pipes empty.
  // Two bytes are widened ahead, too, and what becomes of them is made narrow behind.
  template <Ease EASE>
  INLINE Ease group(int64_t begin, int64_t stop, const E* w, const E* pw, bool stream, bool is_short, Total& total) {
    constexpr bool kStaged = Formula::kHeavy && sizeof(E) == 2;
    Glance<typename S::Math> glance;
    V early[kGroup], xs[kGroup], ys[kGroup], slopes[kGroup];
    for (int64_t i = begin, j = 0; i < stop; i += kLanes, j++) {
      V x = S::load(input + i), y = S::load(target + i);
      Formula::look(glance, x, y);
      if (Formula::kEarly) early[j] = Formula::template early<STEP, EASE>(x, y);
      if (kStaged) xs[j] = x, ys[j] = y;
    }
    Ease found = Formula::ease(glance, given.want_target);
    if (found < EASE) return found;
    const int64_t together = is_short || sizeof(E) == 8 ? kLanes : 8 * kLanes;
    for (int64_t i = begin, j = 0; i < stop;) {
      V sum{};
      for (int64_t pause = std::min(stop, i + together); i < pause; i += kLanes, j++) {
        V x = kStaged ? xs[j] : S::load(input + i), y = kStaged ? ys[j] : S::load(target + i);
        auto one = this->template point<EASE>(x, y, early[j], i, w, pw, stream);
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

  // A group by what is known of its keys, from a table where there is one; written also where it turns out less easy.
  template <bool TABLE, bool BARE>
  INLINE Ease known_group(int64_t begin, int64_t stop, const E* w, const E* pw, bool stream, bool is_short,
                          Total& total) {
    Glance<typename S::Math> glance;
    Total added = total;
    E keys[kGroup * kLanes];
    if constexpr (Formula::kKeyed)
      for (int64_t i = begin; i < stop; i++) keys[i - begin] = key(i);
    const int64_t together = is_short ? kLanes : 8 * kLanes;
    for (int64_t i = begin; i < stop;) {
      V sum{};
      for (int64_t pause = std::min(stop, i + together); i < pause; i += kLanes) {
        __builtin_prefetch(input + i + kAhead), __builtin_prefetch(target + i + kAhead);
        V x = S::load(input + i), y = S::load(target + i);
        Formula::look(glance, x, y);
        auto of_key = this->template known<TABLE>(Formula::kKeyed ? keys + (i - begin) : input + i);
        auto one = BARE ? bare_point(x, y, of_key)
                        : this->template point<Formula::kKnownEase>(x, y, of_key, i, w, pw, stream);
        if (STEP && (BARE || grad_input)) put(grad_input + i, one.d_input, stream);
        sum += one.loss;
        if (!BARE) w += w ? kLanes : 0, pw += pw ? kLanes : 0;
      }
      added.add(sum);
    }
    Ease found = usable(Formula::ease(glance, given.want_target));
    if (found != Ease::any) total = added;
    return found;
  }

  // With a table there are only two: what it serves, and any.
  static INLINE Ease usable(Ease ease) {
    if constexpr (kLooksUp) return std::min(ease, Formula::kKnownEase);
    return ease;
  }

  template <class... Arguments>
  INLINE Ease group_as(Ease ease, Arguments&&... arguments) {
    if constexpr (kLooksUp) {
      if (ease == Ease::any) return group<Ease::any>(arguments...);
      if (!table) return known_group<false, false>(arguments...);
      return bare() ? known_group<true, true>(arguments...) : known_group<true, false>(arguments...);
    } else {
      return with_ease(ease, [&](auto as) INLINE_LAMBDA { return group<as()>(arguments...); });
    }
  }

  template <Ease EASE>
  INLINE auto early_of_tail(V x, V y, int64_t i, int rest) const {
    if constexpr (kLooksUp && EASE != Ease::any) {
      E keys[kLanes]{};
      for (int j = 0; j < rest; j++) keys[j] = key(i + j);
      return this->template known<false>(keys);
    } else {
      return Formula::template early<STEP, EASE>(x, y);
    }
  }

  // The first `rest` lanes of a vector.
  template <Ease EASE>
  INLINE V tail(int64_t i, const E* w, const E* pw, int rest) {
    V x = load(input + i, rest), y = load(target + i, rest);
    auto last = this->template point<EASE>(x, y, early_of_tail<EASE>(x, y, i, rest), i, w, pw, false, rest);
    if (STEP && grad_input) put(grad_input + i, last.d_input, false, rest);
    return last.loss;
  }
  INLINE Ease ease_of_tail(int64_t i, int rest) const {
    V x = load(input + i, rest), y = load(target + i, rest);
    auto inside = iota<typename S::Math>() < rest;
    Glance<typename S::Math> glance;
    Formula::look(glance, inside ? x : splat(x[0], x), inside ? y : splat(y[0], y));
    return Formula::ease(glance, given.want_target);
  }

  // A stretch over which the weights do not wrap. A group is taken for as easy as the one before, and anew where it is
  // not.
  INLINE double stretch(int64_t i, int64_t end, const E* w, const E* pw) {
    Total total;
    bool stream = a.stream && aligned<S>(grad_input + i) && aligned<S>(grad_target + i) && aligned<S>(loss_out + i);
    bool is_short = end - i <= kShort;
    int64_t whole = end - (end - i) % kLanes;
    Ease ease = usable(Formula::easiest(given.want_target));
    while (i < whole) {
      int64_t stop = std::min(whole, i + kGroup * kLanes), n = stop - i;
      Ease found = group_as(ease, i, stop, w, pw, stream, is_short, total);
      bool fits = found >= ease;
      ease = usable(found);
      if (fits) i = stop, w += w ? n : 0, pw += pw ? n : 0;
    }
    int rest = static_cast<int>(end - i);
    if (rest) {
      Ease ease = usable(ease_of_tail(i, rest));
      V last = with_ease(ease, [&](auto as) INLINE_LAMBDA { return tail<as()>(i, w, pw, rest); });
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
      sum += stretch(begin, stop, weight ? weight + w : nullptr, pos_weight ? pos_weight + pw : nullptr);
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
    case Pair::l1:
      return run_formula<L1>(a, begin, end);
    case Pair::mse:
      return run_formula<Mse>(a, begin, end);
    case Pair::smooth_l1:
      return run_formula<SmoothL1>(a, begin, end);
    case Pair::huber:
      return run_formula<Huber>(a, begin, end);
    case Pair::log_cosh:
      return run_formula<LogCosh>(a, begin, end);
    case Pair::bce:
      return run_formula<Bce>(a, begin, end);
    case Pair::focal:
      return a.beta == 2 ? run_formula<Focal<true>>(a, begin, end) : run_formula<Focal<false>>(a, begin, end);
    default:
      return a.pos_weight ? run_formula<BceLogitsPositive>(a, begin, end) : run_formula<BceLogits>(a, begin, end);
  }
}

// The sum of values[begin, end): the divisor of a weighted mean.
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
