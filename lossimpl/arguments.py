"""What the options of a public call may be, checked in one way before any implementation sees them.

Like torch's argument parser, these functions take numpy scalars and 0-dim tensors as numbers, but only bool as a truth
value and no fraction as a whole number. They return Python's own numbers.
"""

from __future__ import annotations

import inspect
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from lossimpl.spec import Function, Loss

FLOATING = frozenset({torch.float64, torch.float32, torch.bfloat16, torch.float16})
COUNTED = FLOATING | {torch.int64}
LARGEST = 2**63 - 1
PLAIN = frozenset({str, int, float, bool, type(None)})  # no tensors: `isinstance` asks torch about each of them
WORDS = {float: "a number", int: "a whole number", bool: "True or False"}

Option = tuple[int, str, tuple[type, ...]]  # position, name, accepted types, the target type first
Dtypes = tuple[frozenset[torch.dtype], ...]


def options_of(check: Function) -> tuple[Option, ...]:
    """The options that are numbers or truth values, by the annotations of a loss's check.

    >>> def check(input: Tensor, swap: bool = False, alpha: float | Tensor | None = None) -> None: ...
    >>> [(place, name) for place, name, _ in options_of(check)]
    [(1, 'swap'), (2, 'alpha')]
    """
    found = []
    for place, one in enumerate(inspect.signature(check, eval_str=True).parameters.values()):
        types = get_args(one.annotation) or (one.annotation,)
        wanted = next((kind for kind in WORDS if kind in types), None)
        if wanted is not None:
            found.append((place, one.name, (wanted, *(kind for kind in types if kind is not wanted))))
    return tuple(found)


def plain(options: tuple[Option, ...], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with every option as Python's own number; TypeError or ValueError names one that is no number."""
    for place, name, types in options:
        if type(arguments[place]) not in types:
            arguments = (*arguments[:place], number(name, arguments[place], types), *arguments[place + 1 :])
    return arguments


def number(name: str, value: Any, types: tuple[type, ...]) -> Any:
    """The value as the first of the types, or as it is where another of them allows it.

    >>> number("p", np.float32(0.5), (float,)), number("p", 2, (float,)), number("alpha", None, (float, type(None)))
    (0.5, 2.0, None)
    """
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool, *types[1:])):
        return value
    found = scalar(value) if types[0] is not bool else value
    if types[0] is float and isinstance(found, float | int):
        return as_float(name, found)
    if type(found) is not types[0]:
        raise TypeError(f"{name} must be {WORDS[types[0]]}, got {described(value)}")
    if isinstance(found, int) and not -LARGEST - 1 <= found <= LARGEST:
        raise ValueError(f"{name} must lie in -2^63..2^63 - 1, got {value}")
    return found


def require_flags(**values: Any) -> None:
    """Raise TypeError unless each value is a truth value or None; torch takes any object, a reduction's name too.

    >>> require_flags(size_average="sum")
    Traceback (most recent call last):
    TypeError: size_average must be True, False or None, got 'sum' (str): give what follows by name
    """
    for name, value in values.items():
        if not (value is None or isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1))):
            raise TypeError(f"{name} must be True, False or None, got {described(value)}: give what follows by name")


def as_float(name: str, value: float) -> float:
    """A whole number as a float; ValueError where no float is that large."""
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name} must lie in the range of a float, got a whole number beyond it") from error


def scalar(value: Any) -> Any:
    """The number in a numpy scalar, or in a tensor without dimensions and without gradient; else the value itself."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor) and not value.dim() and not value.requires_grad):
        return value.item()
    return value


def described(value: Any) -> str:
    """A value in one line, for a message.

    >>> described("2"), described(torch.zeros(3, 4))
    ("'2' (str)", 'a tensor of shape [3, 4]')
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}" + (" that requires grad" if value.requires_grad else "")
    line, *rest = repr(value).splitlines()
    return f"{line}{' ...' if rest else ''} ({type(value).__name__})"


def is_transformed(tensor: Tensor) -> bool:
    """Whether a tensor belongs to a transform of `torch.func`, or has a tangent of forward-mode differentiation."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor) or has_tangent(tensor)


def has_tangent(value: Any) -> bool:
    """Whether a value is a tensor with a tangent of forward-mode differentiation."""
    if not isinstance(value, Tensor) or torch.autograd.forward_ad._current_level < 0:
        return False
    dual = torch.autograd.forward_ad.unpack_dual(value)  # type: ignore[no-untyped-call]  # torch's is untyped
    return dual.tangent is not None


def supported(dtypes: Dtypes, arguments: tuple[Any, ...]) -> bool:
    """Whether a kernel may check the arguments itself: tensors of the expected dtypes, and no gradient for an option.

    Kernels convert what they read, so they would accept booleans as numbers and bytes as words where torch refuses
    them.
    """
    for one, allowed in zip(arguments, dtypes, strict=False):
        if getattr(one, "dtype", None) not in allowed:
            return False
    for one in arguments[len(dtypes) :]:
        if type(one) in PLAIN:
            continue
        if isinstance(one, bytes) or (isinstance(one, Tensor) and (one.requires_grad or one.dtype is torch.bool)):
            return False
    return True


def supported_dtypes(loss: Loss) -> Dtypes:
    """The dtypes that kernels expect of each tensor: floating point, or int64 labels where no gradient is needed."""
    return tuple(FLOATING if name in loss.differentiable else COUNTED for name in loss.tensors)
