"""One case of the conformance table: inputs, how the loss is used, the expected results and their source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lossimpl.agreement.uses import Use, once

INF, NAN = float("inf"), float("nan")
ALL_DTYPES = ("float64", "float32", "bfloat16", "float16")

Builder = Callable[[torch.dtype, str], dict[str, Tensor]]


@dataclass(frozen=True)
class Typed:
    """Literal numbers of a dtype of their own, whatever dtype the check runs in."""

    values: Any
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)  # itself is its identity: its inputs have no equality
class Check:
    """A named hard case of one loss.

    `inputs` are the tensor arguments: nested lists (floats take the dtype of the run, ints become int64, `Typed` keeps
    its own), or a builder of (dtype, device). `options` are the other arguments. `use` says what is done with the loss.
    `expected` maps names of the use's results ("value", "gradient of input") to literal numbers; results not named
    there are compared with the float64 oracle's, except those in `ignored`. `raises` is the error instead: its type,
    and what ours must say in its message. `tail` compares without a floor: every digit counts; `ulp` bounds the
    distance in units in the last place; `result` is the result's dtype where it is not the run's; `roundings` is how
    often a half-precision result may be rounded: autograd sums the rounded slopes of an argument that broadcasts.
    `elements` is set where a case is so large that free memory must be checked first.
    """

    name: str
    source: str
    inputs: Mapping[str, Any] | Builder
    options: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)
    use: Use = once
    raises: tuple[type[Exception], ...] = ()
    says: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    tail: bool = False
    ulp: float | None = None
    result: str | None = None
    roundings: int = 1
    ignored: tuple[str, ...] = ()
    slow: bool = False
    elements: int = 0

    def tensors(self, dtype: str, device: str) -> dict[str, Tensor]:
        """The tensor arguments in this dtype on this device."""
        if callable(self.inputs):
            return self.inputs(getattr(torch, dtype), device)
        return {name: literal(one, getattr(torch, dtype), device) for name, one in self.inputs.items()}


def literal(values: Any, dtype: torch.dtype, device: str) -> Any:
    """A tensor from nested lists: int64 where every leaf is an int, `dtype` otherwise; anything else stays itself."""
    if isinstance(values, Typed):
        return torch.tensor(values.values, dtype=values.dtype, device=device)
    if not isinstance(values, list | float | int):
        return values
    kind = torch.int64 if _all_int(values) else dtype
    return torch.tensor(values, dtype=kind, device=device)


def _all_int(values: Any) -> bool:
    if isinstance(values, list):
        return bool(values) and all(map(_all_int, values))
    return isinstance(values, int)
