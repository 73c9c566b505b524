"""The losses as modules: the names, arguments, buffers and state of torch.nn, and one keyword more, `implementation`.

>>> import torch
>>> MSELoss(implementation="torch")(torch.ones(2), torch.zeros(2))
tensor(1.)
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from lossimpl import functional
from lossimpl.spec import Name, Reduction

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "LogCoshLoss",
    "MSELoss",
    "SigmoidFocalLoss",
    "SmoothL1Loss",
    "SoftmaxFocalLoss",
    "TripletMarginLoss",
]


class Module(torch.nn.Module):
    """What our modules have in common."""

    implementation: Name

    def extra_repr(self) -> str:
        """The options, as the constructor takes them; of a tensor its shape."""
        names = [name for name in inspect.signature(type(self)).parameters if hasattr(self, name)]
        return ", ".join(f"{name}={shown(getattr(self, name))}" for name in names)


def shown(option: object) -> str:
    """An option in a module's representation."""
    return f"tensor{list(option.shape)}" if isinstance(option, Tensor) else repr(option)


class CrossEntropyLoss(Module, torch.nn.CrossEntropyLoss):
    """Module of `lossimpl.cross_entropy`."""

    reduction: Reduction

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and targets."""
        return functional.cross_entropy(
            input,
            target,
            self.weight,
            self.ignore_index,
            self.reduction,
            self.label_smoothing,
            implementation=self.implementation,
        )


class BCELoss(Module, torch.nn.BCELoss):
    """Module of `lossimpl.binary_cross_entropy`."""

    reduction: Reduction

    def __init__(
        self, weight: Tensor | None = None, reduction: Reduction = "mean", *, implementation: Name = "auto"
    ) -> None:
        super().__init__(weight=weight, reduction=reduction)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities and targets."""
        return functional.binary_cross_entropy(
            input, target, self.weight, self.reduction, implementation=self.implementation
        )


class BCEWithLogitsLoss(Module, torch.nn.BCEWithLogitsLoss):
    """Module of `lossimpl.binary_cross_entropy_with_logits`."""

    reduction: Reduction

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: Reduction = "mean",
        pos_weight: Tensor | None = None,
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and targets."""
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight, implementation=self.implementation
        )


class SigmoidFocalLoss(Module):
    """Module of `lossimpl.sigmoid_focal_loss`."""

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, reduction: Reduction = "none", *, implementation: Name = "auto"
    ) -> None:
        super().__init__()
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction
        self.implementation = implementation

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of logits and targets."""
        return functional.sigmoid_focal_loss(
            inputs, targets, self.alpha, self.gamma, self.reduction, implementation=self.implementation
        )


class SoftmaxFocalLoss(Module):
    """Module of `lossimpl.softmax_focal_loss`; a tensor `alpha` moves with the module."""

    def __init__(
        self,
        alpha: float | Tensor | None = None,
        gamma: float = 2.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__()
        self.alpha: float | Tensor | None
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.gamma, self.ignore_index, self.reduction = gamma, ignore_index, reduction
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and class indices."""
        return functional.softmax_focal_loss(
            input,
            target,
            self.alpha,
            self.gamma,
            self.ignore_index,
            self.reduction,
            implementation=self.implementation,
        )


class L1Loss(Module, torch.nn.L1Loss):
    """Module of `lossimpl.l1_loss`."""

    reduction: Reduction

    def __init__(self, reduction: Reduction = "mean", *, implementation: Name = "auto") -> None:
        super().__init__(reduction=reduction)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.l1_loss(input, target, self.reduction, implementation=self.implementation)


class MSELoss(Module, torch.nn.MSELoss):
    """Module of `lossimpl.mse_loss`."""

    reduction: Reduction

    def __init__(self, reduction: Reduction = "mean", *, implementation: Name = "auto") -> None:
        super().__init__(reduction=reduction)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.mse_loss(input, target, self.reduction, implementation=self.implementation)


class SmoothL1Loss(Module, torch.nn.SmoothL1Loss):
    """Module of `lossimpl.smooth_l1_loss`."""

    reduction: Reduction

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0, *, implementation: Name = "auto") -> None:
        super().__init__(reduction=reduction, beta=beta)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.smooth_l1_loss(input, target, self.reduction, self.beta, implementation=self.implementation)


class HuberLoss(Module, torch.nn.HuberLoss):
    """Module of `lossimpl.huber_loss`."""

    reduction: Reduction

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0, *, implementation: Name = "auto") -> None:
        super().__init__(reduction=reduction, delta=delta)
        self.implementation = implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.huber_loss(input, target, self.reduction, self.delta, implementation=self.implementation)


class LogCoshLoss(Module):
    """Module of `lossimpl.log_cosh_loss`."""

    def __init__(self, reduction: Reduction = "mean", *, implementation: Name = "auto") -> None:
        super().__init__()
        self.reduction, self.implementation = reduction, implementation

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.log_cosh_loss(input, target, self.reduction, implementation=self.implementation)


class TripletMarginLoss(Module, torch.nn.TripletMarginLoss):
    """Module of `lossimpl.triplet_margin_loss`."""

    reduction: Reduction

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: Reduction = "mean",
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)
        self.implementation = implementation

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of triplets."""
        return functional.triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            self.reduction,
            implementation=self.implementation,
        )
