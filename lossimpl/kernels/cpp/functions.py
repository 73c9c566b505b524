"""The functions that call the operators `lossimpl::<loss>`, by the loss's name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossimpl.losses.softmax_focal_loss import is_per_class
from lossimpl.operators import LOSSES

OPERATORS = {name: getattr(torch.ops.lossimpl, name).default for name in LOSSES}


def softmax_focal_loss(input: Tensor, target: Tensor, alpha: Any = None, *options: Any, **named: Any) -> Any:
    """The operator's call with `alpha` as a number or as a tensor of one number per class."""
    number, per_class = (None, alpha) if is_per_class(alpha) else (alpha, None)
    return OPERATORS["softmax_focal_loss"](input, target, number, per_class, *options, **named)


FUNCTIONS = OPERATORS | {"softmax_focal_loss": softmax_focal_loss}
