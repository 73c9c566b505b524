"""The losses as torch operators `lossimpl::<loss>`: their schemas, and the table of the functions that call them.

An operator's arguments are those of the loss's check: its schema is derived from that signature, and the C++ kernels
register for its name (csrc/register.h). The library must be loaded before an operator is called.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from lossimpl.kernels.contract import module_of
from lossimpl.spec import Function

NAMES = (
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
    "huber_loss",
    "log_cosh_loss",
    "triplet_margin_loss",
)
TYPES = {Tensor: "Tensor", Tensor | None: "Tensor?", int: "int", float: "float", bool: "bool", str: "str"}
LIBRARY = torch.library.Library("lossimpl", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's is untyped


def schema(name: str) -> str:
    """The operator's schema.

    >>> schema("huber_loss")
    "huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, Tensor? weight=None) -> Tensor"
    """
    signature = inspect.signature(module_of(name).check, eval_str=True)
    arguments = map(argument, signature.parameters.values())
    return f"{name}({', '.join(arguments)}) -> Tensor"


def argument(one: inspect.Parameter) -> str:
    """One argument in a schema; schemas have no unions, so a number or a tensor makes two: `alpha`, `class_alpha`."""
    if one.annotation == float | Tensor | None:
        return f"float? {one.name}=None, Tensor? class_{one.name}=None"
    default = "" if one.default is one.empty else f"={one.default!r}"
    return f"{TYPES[one.annotation]} {one.name}{default}"


def define(name: str) -> Function:
    """Define the operator of a loss; return it."""
    LIBRARY.define(schema(name))  # type: ignore[no-untyped-call]  # torch's is untyped
    operator: Function = getattr(torch.ops.lossimpl, name).default
    return operator


OPERATORS = {name: define(name) for name in NAMES}


def softmax_focal_loss(input: Tensor, target: Tensor, alpha: Any = None, *options: Any, **named: Any) -> Any:
    """The operator's call with `alpha` as a number or as a tensor of one number per class."""
    number, per_class = (None, alpha) if isinstance(alpha, Tensor) else (alpha, None)
    return OPERATORS["softmax_focal_loss"](input, target, number, per_class, *options, **named)


FUNCTIONS = OPERATORS | {"softmax_focal_loss": softmax_focal_loss}
