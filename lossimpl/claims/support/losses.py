"""The losses of the experiments, as sums over elements; their vectorized implementations read like the formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor

from lossimpl import functional

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_PLAIN: dict[str, Any] = {"reduction": "sum", "implementation": "vectorized"}
mse: Loss = partial(functional.mse_loss, **_PLAIN)
mae: Loss = partial(functional.l1_loss, **_PLAIN)
log_cosh: Loss = partial(functional.log_cosh_loss, **_PLAIN)
cross_entropy: Loss = partial(functional.cross_entropy, **_PLAIN)
bce: Loss = partial(functional.binary_cross_entropy_with_logits, **_PLAIN)


def huber(delta: float) -> Loss:
    """Huber's loss, quadratic up to `delta`."""
    return partial(functional.huber_loss, delta=delta, **_PLAIN)


def smooth_l1(beta: float) -> Loss:
    """Smooth L1, quadratic up to `beta`."""
    return partial(functional.smooth_l1_loss, beta=beta, **_PLAIN)


def focal(gamma: float, alpha: float = -1.0) -> Loss:
    """The sigmoid focal loss; a negative `alpha` gives both classes the same weight."""
    return partial(functional.sigmoid_focal_loss, gamma=gamma, alpha=alpha, **_PLAIN)


def slope(loss: Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """The derivative of the summed loss by each prediction.

    >>> import torch
    >>> slope(mse, torch.tensor([3.0, 1.0]), torch.zeros(2))
    tensor([6., 2.])
    """
    import torch

    held = prediction.detach().requires_grad_()
    return torch.autograd.grad(loss(held, target), held)[0]
