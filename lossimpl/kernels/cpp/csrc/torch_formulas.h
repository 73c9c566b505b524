// Losses in torch's differentiable operations, where torch has no such loss or an inaccurate one.
#pragma once
#include <cmath>

#include "call.h"

namespace lossimpl {

inline Tensor soft_plus(const Tensor& x) { return -at::log_sigmoid(-x); }

// cosh(d) = 1 + 2 sinh(d/2)^2, which keeps the digits of small d.
inline Tensor log_cosh(const Tensor& d) {
  Tensor size = d.abs(), small = size < 1, half = at::where(small, d, 0) / 2;
  Tensor far = size + at::log1p(at::exp(-2 * size)) - std::log(2.0);
  return at::where(small, at::log1p(2 * half.sinh().square()), far);
}

inline Tensor focal(const Tensor& x, const Tensor& y, double alpha, double gamma) {
  Tensor p = at::sigmoid(x), q = at::sigmoid(-x), wrong = p * (1 - y) + q * y;
  Tensor loss = soft_plus(x) * (1 - y) + soft_plus(-x) * y;
  if (gamma != 0) loss = loss * at::exp(gamma * at::log(wrong));
  return alpha < 0 ? loss : loss * (alpha * y + (1 - alpha) * (1 - y));
}

// torch's function has an inaccurate second derivative; it is used only where its clamps apply.
inline Tensor clamped_entropy(const Tensor& p, const Tensor& y) {
  Tensor inside = p * (1 - p) > 1e-12, safe = at::where(inside, p, 0.5);
  Tensor plain = -(y * safe.log() + (1 - y) * at::log1p(-safe));
  return at::where(inside, plain, at::binary_cross_entropy(at::where(inside, 0.5, p), y, {}, kNone));
}

// alpha (1 - p_t)^gamma (-log p_t) over the classes of dimension 1, or 0; 1 - p_t as the sum of the other
// probabilities.
inline Tensor softmax_focal(const Tensor& x, const Tensor& target, const Tensor& class_alpha, double alpha,
                            double gamma, int64_t ignore_index, int64_t reduction) {
  int64_t dim = x.dim() > 1 ? 1 : 0;
  Tensor counted = target.ne(ignore_index), labels = at::where(counted, target, 0).unsqueeze(dim);
  Tensor log_p = at::log_softmax(x, dim), at_target = at::zeros_like(log_p).scatter(dim, labels, 1);
  Tensor rest = (log_p.exp() * (1 - at_target)).sum(dim), loss = -(log_p.gather(dim, labels).squeeze(dim));
  Tensor certain = rest == 0;
  if (gamma != 0) {
    Tensor power = at::where(certain, 1, rest).pow(gamma);
    power = at::where(loss.isinf(), power.detach(), power);  // its slope vanishes there faster than the loss grows
    loss = at::where(certain, 0, power * loss);
  }
  loss = class_alpha.defined() ? loss * class_alpha.index({labels.squeeze(dim)}) : loss * alpha;
  loss = at::where(counted, loss, 0);
  return reduction == kMean ? loss.sum() / counted.sum() : reduce(loss, reduction);
}

}  // namespace lossimpl
