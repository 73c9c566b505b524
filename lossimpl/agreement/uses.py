"""The ways in which a check uses a loss: each returns named tensors, which are compared with the oracle's.

A use takes (function, tensors, options, names): the loss, its tensor arguments by name, its other arguments, and the
names of those whose gradient is wanted. The oracle goes through the same use, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossimpl.spec import Function, Unavailable

Tensors = dict[str, Tensor]
Use = Callable[[Function, Tensors, Mapping[str, Any], tuple[str, ...]], Tensors]
Incoming = Callable[[Tensor], Tensor]


def call(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """The value alone, of arguments passed as they are."""
    del names
    return {"value": function(**tensors, **options)}


@dataclass(frozen=True)
class Backward:
    """Value, and gradients for the incoming gradient that `incoming(value)` gives."""

    incoming: Incoming = torch.ones_like

    def __call__(
        self, function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]
    ) -> Tensors:
        """One forward and one backward pass."""
        inputs = leaves(tensors, names)
        return self.differentiate(function(**inputs, **options), inputs, names)

    def differentiate(self, value: Tensor, inputs: Tensors, names: tuple[str, ...]) -> Tensors:
        """The backward pass of a value computed from these inputs."""
        gradients = torch.autograd.grad(value, [inputs[name] for name in names], self.incoming(value.detach()))
        return {"value": value.detach()} | named(names, gradients)


once = Backward()


def expanded_scalar(value: Tensor) -> Tensor:
    """One number seen through strides of zero, as `value.sum().backward()` passes it."""
    return torch.full((), -1.5, dtype=value.dtype, device=value.device).expand(value.shape)


def per_element(value: Tensor) -> Tensor:
    """A different factor for every element, negative ones and a zero among them."""
    steps = torch.arange(value.numel(), device=value.device) % 7 - 3
    return (steps.to(value.dtype) / 2).reshape(value.shape)


def strided(value: Tensor) -> Tensor:
    """Different factors in every other place of a wider buffer."""
    wide = torch.zeros((*value.shape, 2), dtype=value.dtype, device=value.device)
    wide[..., 0] = per_element(value)
    return wide[..., 0]


def scaled(value: Tensor) -> Tensor:
    """Two and a half for every element: a gradient that is not one."""
    return torch.full_like(value, 2.5)


@dataclass(frozen=True)
class Times:
    """The same number for every element."""

    number: float

    def __call__(self, value: Tensor) -> Tensor:
        """The number, in the value's shape."""
        return torch.full_like(value, self.number)


def without_grad(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """The value under `no_grad`, in inference mode, and of inputs that need no gradient."""
    with torch.no_grad():
        first = function(**leaves(tensors, names), **options)
    with torch.inference_mode():
        second = function(**tensors, **options).clone()
    return {"no_grad": first, "inference_mode": second, "no leaf": function(**tensors, **options)}


def backward_twice(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """Gradients of a first and a second walk through a graph that is kept."""
    inputs = leaves(tensors, names)
    value = function(**inputs, **options)
    wanted = [inputs[name] for name in names]
    first = torch.autograd.grad(value, wanted, torch.ones_like(value), retain_graph=True)
    second = torch.autograd.grad(value, wanted, scaled(value))
    return {"value": value.detach()} | named(names, first) | named(names, second, "second gradient of")


def inputs_again(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """Gradients when the inputs also serve elsewhere in the graph, and the inputs afterwards, which must not change."""
    inputs = leaves(tensors, names)
    copies = {name: inputs[name] * 1 for name in names}
    value = function(**(inputs | copies), **options)
    others = [copies[name].square().sum() for name in names]
    gradients = torch.autograd.grad(value.sum() + sum(others), [inputs[name] for name in names])
    return named(names, gradients) | {f"{name} afterwards": copies[name].detach() for name in names}


def second_derivative(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]
) -> Tensors:
    """The gradient of a weighted sum of the gradient."""
    inputs = leaves(tensors, names)
    wanted = [inputs[name] for name in names]
    value = function(**inputs, **options)
    first = torch.autograd.grad(value, wanted, scaled(value), create_graph=True)
    if not any(one.requires_grad for one in first):
        raise Unavailable("its gradient cannot be differentiated again")
    total = torch.stack([(one * per_element(one)).sum() for one in first]).sum()
    second = torch.autograd.grad(total, wanted, allow_unused=True)
    if any(one is None for one in second):
        raise Unavailable("its gradient leads back to no input: it cannot be differentiated again")
    return named(names, second, "second derivative by")


def functional_grad(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]
) -> Tensors:
    """The gradient by `torch.func.grad`."""

    def total(wanted: Tensors) -> Tensor:
        result: Tensor = function(**(tensors | wanted), **options).sum()
        return result

    gradients = torch.func.grad(total)({name: tensors[name] for name in names})
    return named(names, [gradients[name] for name in names])


def vmapped(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """The value under `torch.vmap` over three batches: the tensors, the same upside down, and the tensors again."""
    stacked = {name: torch.stack([one, one.flip(0) if one.dim() else one, one]) for name, one in tensors.items()}
    return {"value": torch.vmap(lambda batch: function(**batch, **options))(stacked)}


def deterministic(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """Value and gradients while torch is asked for deterministic algorithms only."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        return once(function, tensors, options, names)
    finally:
        torch.use_deterministic_algorithms(before)


def under_autocast(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    """Value and gradients under bfloat16 autocast."""
    device = next(iter(tensors.values())).device.type
    with torch.autocast(device, dtype=torch.bfloat16):
        return once(function, tensors, options, names)


def leaves(tensors: Tensors, names: tuple[str, ...]) -> Tensors:
    """The tensors as a training step has them: those named want a gradient."""
    return {
        name: one.detach().requires_grad_(name in names) if isinstance(one, Tensor) else one
        for name, one in tensors.items()
    }


def named(names: tuple[str, ...], gradients: Any, what: str = "gradient of") -> Tensors:
    """Gradients by the names of their arguments."""
    return {f"{what} {name}": one.detach().clone() for name, one in zip(names, gradients, strict=True)}


def _looped(function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]) -> Tensors:
    flipped = {name: one.flip(0) if one.dim() else one for name, one in tensors.items()}
    return {"value": torch.stack([function(**batch, **options) for batch in (tensors, flipped, tensors)])}


REFERENCE: dict[Use, Use] = {vmapped: _looped, under_autocast: once}  # what the oracle does where it cannot follow
