"""The explicit list of losses, in the order in which every table shows them."""

from __future__ import annotations

from types import ModuleType

from lossimpl.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    log_cosh_loss,
    mse_loss,
    sigmoid_focal_loss,
    smooth_l1_loss,
    softmax_focal_loss,
    triplet_margin_loss,
)

MODULES: tuple[ModuleType, ...] = (
    cross_entropy,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    sigmoid_focal_loss,
    softmax_focal_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
    huber_loss,
    log_cosh_loss,
    triplet_margin_loss,
)
