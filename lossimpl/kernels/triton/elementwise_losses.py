"""The eight elementwise losses. Their arguments are those of the losses' functions in `lossimpl`, in the same order.

The defaults are the loss's own: `load` in this package sets them.
"""

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

from .elementwise_operator import DIVIDED_BY_WEIGHT, OPERATORS
from .launch import compute_dtype
from .support import (
    broadcast,
    expanded_weight,
    floating_pair,
    loss_dtype,
    needs,
    on_host,
    require,
    require_floating,
    require_reduction,
    require_same_shape,
    require_tensors,
)


def _call(
    name: str, x: Tensor, t: Tensor, weight: Tensor | None, pos_weight: Tensor | None, first: float, second: float,
    reduction: str, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Check what the kernels rely on, and run the operator."""
    require_floating(x, t)
    require_reduction(reduction)
    for extra in (weight, pos_weight):
        if extra is not None and extra.requires_grad and torch.is_grad_enabled():
            raise Unavailable("native computes no gradient for weight or pos_weight")
    arguments = (x, t, weight, pos_weight, first, second, reduction, dtype, *needs(reduction, x, t))
    loss: Tensor = OPERATORS[name](*arguments)[0]
    return loss


def _regression(name: str, x: Tensor, t: Tensor, weight: Tensor | None, number: float, reduction: str) -> Tensor:
    """Broadcast as torch does, and call.

    A weight has the shape that the input has before broadcasting, and the weighted mean divides by the sum of that
    weight. The result has the promoted dtype of all tensors; Huber's excludes the target, as in torch.
    """
    require_tensors(x, t, weight)
    require(weight is None or weight.shape == x.shape, "native takes a weight of input's shape")
    typed = [x] if name == "huber_loss" else [x, t]
    dtype = loss_dtype(*typed, *([] if weight is None else [weight]))
    x, t = floating_pair(x, t)
    if x.shape == t.shape:
        return _call(name, x, t, weight, None, number, 0.0, reduction, dtype)
    x, t = broadcast(x, t)
    if weight is not None and reduction == "mean" and name in DIVIDED_BY_WEIGHT:
        reduction, weight = "sum", weight / weight.sum(dtype=compute_dtype(x, t))
    return _call(name, x, t, None if weight is None else weight.expand(x.shape), None, number, 0.0, reduction, dtype)


def l1_loss(input: Tensor, target: Tensor, reduction: str, weight: Tensor | None) -> Tensor:
    """Mean absolute error |input - target|."""
    return _regression("l1_loss", input, target, weight, 0.0, reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str, weight: Tensor | None) -> Tensor:
    """Mean squared error (input - target)^2."""
    return _regression("mse_loss", input, target, weight, 0.0, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str, beta: float) -> Tensor:
    """Absolute error, quadratic within beta of 0; beta = 0 is the L1 loss."""
    require(beta >= 0, "native takes beta of 0 or more")
    return _regression("smooth_l1_loss" if beta else "l1_loss", input, target, None, beta, reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str, delta: float, weight: Tensor | None) -> Tensor:
    """Squared error within delta, linear beyond."""
    require(delta > 0, "native takes delta above 0")
    return _regression("huber_loss", input, target, weight, delta, reduction)


def log_cosh_loss(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """log(cosh(input - target))."""
    return _regression("log_cosh_loss", input, target, None, 0.0, reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Cross entropy of probabilities; on CUDA, values outside [0, 1] trigger a device assert, as in torch."""
    require_tensors(input, target, weight)
    require_same_shape(input, target)
    require(input.dtype == target.dtype, "native takes input and target of one dtype")
    if input.is_cuda and torch.is_autocast_enabled("cuda"):
        raise RuntimeError("binary_cross_entropy is unsafe to autocast: use binary_cross_entropy_with_logits")
    for tensor in (input, target):
        if on_host(tensor):
            require(bool(((tensor >= 0) & (tensor <= 1)).all()), "native takes values between 0 and 1")
    weight = expanded_weight(weight, input.shape)
    return _call("binary_cross_entropy", input, target, weight, None, 0.0, 0.0, reduction, loss_dtype(input))


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, pos_weight: Tensor | None
) -> Tensor:
    """Cross entropy of sigmoid(input), infinite logits included."""
    require_tensors(input, target, weight, pos_weight)
    require_same_shape(input, target)
    weight, pos_weight = expanded_weight(weight, input.shape), expanded_weight(pos_weight, input.shape)
    dtype = loss_dtype(input, target)
    return _call("binary_cross_entropy_with_logits", input, target, weight, pos_weight, 0.0, 0.0, reduction, dtype)


def sigmoid_focal_loss(inputs: Tensor, targets: Tensor, alpha: float, gamma: float, reduction: str) -> Tensor:
    """Focal loss of sigmoid(inputs), as torchvision's but with finite gradients."""
    require_tensors(inputs, targets)
    require_same_shape(inputs, targets)
    require(gamma >= 0, "native takes gamma of 0 or more")
    require(alpha <= 1, "native takes alpha of at most 1")
    dtype = loss_dtype(inputs, targets)
    return _call("sigmoid_focal_loss", inputs, targets, None, None, alpha, gamma, reduction, dtype)
