"""torch.compile of what people write themselves: torch's own function, or the textbook's formula where torch has none.

`compiled` is torch.compile of our `vectorized`, which keeps digits that these forms lose.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from lossimpl.compiled import compiled
from lossimpl.losses import MODULES
from lossimpl.spec import Function


def log_cosh_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """d + softplus(-2 d) - log 2, which cancels for small d."""
    d = input - target
    return reduced(d + softplus(-2 * d) - math.log(2), reduction)


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """alpha_t (1 - p_t)^gamma times the cross-entropy, as Lin et al. (2017) write it."""
    p = inputs.sigmoid()
    entropy = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = entropy * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return reduced(loss, reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """alpha_t (1 - p_t)^gamma times the cross-entropy -log p_t, which is zero in ignored rows."""
    entropy = cross_entropy(input, target, ignore_index=ignore_index, reduction="none")
    kept = target != ignore_index
    loss = (1 - torch.exp(-entropy)) ** gamma * entropy
    if alpha is not None:
        loss = loss * (alpha[target.where(kept, 0)] if isinstance(alpha, Tensor) else alpha)
    return loss.sum() / kept.sum() if reduction == "mean" else reduced(loss, reduction)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """Mean, sum, or the values themselves."""
    return loss if reduction == "none" else getattr(loss, reduction)()


TEXTBOOK = {one.__name__: one for one in (log_cosh_loss, sigmoid_focal_loss, softmax_focal_loss)}
FRAMEWORK = {module.LOSS.name: module.framework for module in MODULES if hasattr(module, "framework")}
PLAIN: dict[str, Function] = FRAMEWORK | TEXTBOOK


def of(function: Function) -> Function:
    """The function compiled; torch's compiler is imported at the first call."""
    compile_once = cache(lambda: compiled(function))

    def call(*tensors: Tensor, **options: Any) -> Tensor:
        result: Tensor = compile_once()(*tensors, **options)
        return result

    return call
