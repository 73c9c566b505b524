"""The eight elementwise losses with their public signatures."""

import torch
from torch import Tensor

from lossimpl.spec import Unavailable

from .elementwise_operator import DIVIDED_BY_WEIGHT, OPERATORS
from .launch import compute_dtype
from .support import (
    floating_pair,
    loss_dtype,
    needs,
    on_host,
    require_device,
    require_floating,
    require_reduction,
    require_same_shape,
)


def _call(
    name: str, x: Tensor, t: Tensor, weight: Tensor | None, pos_weight: Tensor | None, first: float, second: float,
    reduction: str, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Check what the kernels rely on, and run the operator."""
    require_floating(x, t)
    require_device(x.device, weight, pos_weight)
    require_reduction(reduction)
    for extra in (weight, pos_weight):
        if extra is not None and extra.requires_grad and torch.is_grad_enabled():
            raise Unavailable("native computes no gradient for weight or pos_weight")
    arguments = (x, t, weight, pos_weight, first, second, reduction, dtype, *needs(reduction, x, t))
    loss: Tensor = OPERATORS[name](*arguments)[0]
    return loss


def _regression(name: str, x: Tensor, t: Tensor, weight: Tensor | None, number: float, reduction: str) -> Tensor:
    """Broadcast as torch does (the public API warns of it), then call.

    A weight has the input's shape before that, and the weighted mean divides by its sum before that. The result has
    the promoted type of all tensors; Huber's, as torch's, leaves the target out.
    """
    if weight is not None and weight.shape != x.shape:
        raise ValueError("Weights and input must have the same size.")
    typed = [x] if name == "huber_loss" else [x, t]
    dtype = loss_dtype(*typed, *([] if weight is None else [weight]))
    x, t = floating_pair(x, t)
    if x.shape == t.shape:
        return _call(name, x, t, weight, None, number, 0.0, reduction, dtype)
    x, t = torch.broadcast_tensors(x, t)  # type: ignore[no-untyped-call]  # torch's is untyped
    if weight is not None and reduction == "mean" and name in DIVIDED_BY_WEIGHT:
        reduction, weight = "sum", weight / weight.sum(dtype=compute_dtype(x, t))
    return _call(name, x, t, None if weight is None else weight.expand(x.shape), None, number, 0.0, reduction, dtype)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Mean absolute error |input - target|; see `lossimpl.l1_loss`."""
    return _regression("l1_loss", input, target, weight, 0.0, reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Mean squared error (input - target)^2; see `lossimpl.mse_loss`."""
    return _regression("mse_loss", input, target, weight, 0.0, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Absolute error with a parabola of width beta at 0; beta = 0 is the L1 loss; see `lossimpl.smooth_l1_loss`."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    return _regression("smooth_l1_loss" if beta else "l1_loss", input, target, None, beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared error within delta, linear beyond; see `lossimpl.huber_loss`."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return _regression("huber_loss", input, target, weight, delta, reduction)


def log_cosh_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(cosh(input - target)); see `lossimpl.log_cosh_loss`."""
    return _regression("log_cosh_loss", input, target, None, 0.0, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Cross entropy of probabilities; see `lossimpl.binary_cross_entropy`.

    An input outside [0, 1] trips a device assert, as with torch.
    """
    require_same_shape(input, target)
    if input.dtype != target.dtype:
        raise RuntimeError(f"input and target must have one dtype, got {input.dtype} and {target.dtype}")
    if input.is_cuda and torch.is_autocast_enabled("cuda"):
        raise RuntimeError("binary_cross_entropy is unsafe to autocast; use binary_cross_entropy_with_logits")
    for tensor in (input, target):
        if on_host(tensor) and not ((tensor >= 0) & (tensor <= 1)).all():
            raise RuntimeError("all elements of input and target should be between 0 and 1")
    weight = None if weight is None else weight.expand(input.shape)
    return _call("binary_cross_entropy", input, target, weight, None, 0.0, 0.0, reduction, loss_dtype(input))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of sigmoid(input), infinite logits included; see `lossimpl.binary_cross_entropy_with_logits`."""
    require_same_shape(input, target)
    weight = None if weight is None else weight.expand(input.shape)
    pos_weight = None if pos_weight is None else pos_weight.expand(input.shape)
    dtype = loss_dtype(input, target)
    return _call("binary_cross_entropy_with_logits", input, target, weight, pos_weight, 0.0, 0.0, reduction, dtype)


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """Focal loss of sigmoid(inputs), as torchvision's, with finite gradients; see `lossimpl.sigmoid_focal_loss`."""
    require_same_shape(inputs, targets)
    if not gamma >= 0:
        raise ValueError(f"gamma must not be negative, got {gamma}")
    if not alpha <= 1:
        raise ValueError(f"alpha must be at most 1, got {alpha}")
    dtype = loss_dtype(inputs, targets)
    return _call("sigmoid_focal_loss", inputs, targets, None, None, alpha, gamma, reduction, dtype)
