"""The losses as modules: the names, arguments, buffers and state of torch.nn, and one keyword more, `implementation`.

>>> import torch
>>> MSELoss(implementation="torch")(torch.ones(2), torch.zeros(2))
tensor(1.)
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from lossimpl import functional
from lossimpl.arguments import require_flags
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

    def __init__(self, implementation: Name, **options: Any) -> None:
        require_flags(**{name: options[name] for name in ("size_average", "reduce") if name in options})
        super().__init__(**options)
        self.implementation = implementation

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
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(
            implementation,
            weight=weight,
            ignore_index=ignore_index,
            size_average=size_average,
            reduce=reduce,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and targets."""
        return functional.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            implementation=self.implementation,
        )


class BCELoss(Module, torch.nn.BCELoss):
    """Module of `lossimpl.binary_cross_entropy`."""

    reduction: Reduction

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(implementation, weight=weight, size_average=size_average, reduce=reduce, reduction=reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities and targets."""
        return functional.binary_cross_entropy(
            input, target, weight=self.weight, reduction=self.reduction, implementation=self.implementation
        )


class BCEWithLogitsLoss(Module, torch.nn.BCEWithLogitsLoss):
    """Module of `lossimpl.binary_cross_entropy_with_logits`."""

    reduction: Reduction

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        pos_weight: Tensor | None = None,
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(
            implementation,
            weight=weight,
            size_average=size_average,
            reduce=reduce,
            reduction=reduction,
            pos_weight=pos_weight,
        )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and targets."""
        return functional.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
            implementation=self.implementation,
        )


class SigmoidFocalLoss(Module):
    """Module of `lossimpl.sigmoid_focal_loss`."""

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, reduction: Reduction = "none", *, implementation: Name = "auto"
    ) -> None:
        super().__init__(implementation)
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

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
        super().__init__(implementation)
        self.alpha: float | Tensor | None
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.gamma, self.ignore_index, self.reduction = gamma, ignore_index, reduction

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


class Difference(Module):
    """What the modules without an option but the reduction have in common."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(implementation, size_average=size_average, reduce=reduce, reduction=reduction)


class L1Loss(Difference, torch.nn.L1Loss):
    """Module of `lossimpl.l1_loss`."""

    reduction: Reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.l1_loss(input, target, reduction=self.reduction, implementation=self.implementation)


class MSELoss(Difference, torch.nn.MSELoss):
    """Module of `lossimpl.mse_loss`."""

    reduction: Reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.mse_loss(input, target, reduction=self.reduction, implementation=self.implementation)


class SmoothL1Loss(Module, torch.nn.SmoothL1Loss):
    """Module of `lossimpl.smooth_l1_loss`."""

    reduction: Reduction

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        beta: float = 1.0,
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(implementation, size_average=size_average, reduce=reduce, reduction=reduction, beta=beta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.smooth_l1_loss(
            input, target, reduction=self.reduction, beta=self.beta, implementation=self.implementation
        )


class HuberLoss(Module, torch.nn.HuberLoss):
    """Module of `lossimpl.huber_loss`."""

    reduction: Reduction

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0, *, implementation: Name = "auto") -> None:
        super().__init__(implementation, reduction=reduction, delta=delta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.huber_loss(
            input, target, reduction=self.reduction, delta=self.delta, implementation=self.implementation
        )


class LogCoshLoss(Module):
    """Module of `lossimpl.log_cosh_loss`."""

    def __init__(self, reduction: Reduction = "mean", *, implementation: Name = "auto") -> None:
        super().__init__(implementation)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of predictions and targets."""
        return functional.log_cosh_loss(input, target, reduction=self.reduction, implementation=self.implementation)


class TripletMarginLoss(Module, torch.nn.TripletMarginLoss):
    """Module of `lossimpl.triplet_margin_loss`."""

    reduction: Reduction

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        implementation: Name = "auto",
    ) -> None:
        super().__init__(
            implementation,
            margin=margin,
            p=p,
            eps=eps,
            swap=swap,
            size_average=size_average,
            reduce=reduce,
            reduction=reduction,
        )

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
            reduction=self.reduction,
            implementation=self.implementation,
        )
