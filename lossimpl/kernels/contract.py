"""What the kernels take from the loss that they compute: its signature, and the check that explains a refusal.

The kernels check what they rely on themselves, so that a valid call pays for no other check. Only when a kernel refuses
its arguments is the loss's check asked what is wrong with them: it raises torch's type of error and names the argument.
What the check accepts is valid but not served by the kernel (complex numbers, say), which is Unavailable.

Every other exception passes through untouched. torch steers activation checkpointing and tracing by exceptions, and
the check would read tensors in the middle of that.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch

from lossimpl.spec import Function, Unavailable

INFERENCE = "Inference tensors cannot be saved for backward"
MARK = "refused by lossimpl"  # csrc/call.h appends it to the message of every error that the C++ kernels raise


def module_of(name: str) -> ModuleType:
    """The module that defines the loss."""
    return importlib.import_module(f"lossimpl.losses.{name}")


def checked(kernel: Function, name: str) -> Function:
    """The kernel of the loss `name`, with refusals explained by the loss's check."""
    check: Function = module_of(name).check

    def native(*args: Any, **kwargs: Any) -> Any:
        try:
            return kernel(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            if INFERENCE in str(error):
                return kernel(*map(saveable, args), **{key: saveable(value) for key, value in kwargs.items()})
            if is_refusal(error, name):
                check(*args, **kwargs)
                if isinstance(error, NotImplementedError):
                    raise Unavailable(f"native of {name} does not serve these arguments: {error}") from error
            raise

    return native


def saveable(value: Any) -> Any:
    """A copy of a tensor from inference mode, which backward can read; any other value itself."""
    return value.clone() if isinstance(value, torch.Tensor) and value.is_inference() else value


def is_refusal(error: Exception, name: str) -> bool:
    """Whether a kernel refuses its arguments, by an error of these kinds.

    Unavailable; the mark of C++; a type that does not fit the parameters; and NotImplementedError, which torch raises
    where a device or a subclass of tensors has no such operator.

    >>> is_refusal(RuntimeError("beta must be at least 0, got -1 (refused by lossimpl)"), "smooth_l1_loss")
    True
    >>> is_refusal(RuntimeError("aten.lt.Scalar encountered during backward but not found in storage"), "mse_loss")
    False
    """
    message = str(error)  # torch.ops begins with the operator's name where an argument does not fit its schema
    return (
        isinstance(error, Unavailable | TypeError | NotImplementedError)
        or MARK in message
        or message.startswith(f"lossimpl::{name}() ")
    )
