"""The ways in which people call a loss: plainly, under a transform, or through a tracer.

A way takes what a use takes and gives the results of one forward and one backward pass, computed its own way; the
expected numbers stay those of the plain call. A check that expects an error expects it under every way. The checks
whose use is another one (a second walk through a graph, autocast) run under `call` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, judged, wanted
from lossimpl.agreement.uses import Backward, Tensors, leaves, named, once
from lossimpl.spec import Function, Loss

Produce = Callable[[Function, Tensors, Mapping[str, Any], tuple[str, ...], Backward], Tensors]
PLACES = 8  # elements of an argument along which a forward-mode derivative is taken


def create_graph(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The gradients as `create_graph=True` computes them."""
    inputs = leaves(tensors, names)
    value = function(**inputs, **options)
    gradients = torch.autograd.grad(
        value, [inputs[name] for name in names], use.incoming(value.detach()), create_graph=True
    )
    return {"value": value.detach()} | named(names, gradients)


def function_of(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The loss as a function of the differentiable arguments alone, and these arguments."""

    def loss(*wanted: Tensor) -> Tensor:
        result: Tensor = function(**(tensors | dict(zip(names, wanted, strict=True))), **options)
        return result

    return loss, [tensors[name] for name in names]


def func_grad(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The gradients as `torch.func.grad` computes them."""
    loss, wanted = function_of(function, tensors, options, names)
    if not names:
        return {"value": torch.func.vjp(lambda _: loss(), torch.zeros(()))[0]}

    def total(*primals: Tensor) -> tuple[Tensor, Tensor]:
        value = loss(*primals)
        return (value * use.incoming(value.detach())).sum(), value

    gradients, value = torch.func.grad(total, tuple(range(len(wanted))), has_aux=True)(*wanted)
    return {"value": value.detach()} | named(names, gradients)


def places_of(tensor: Tensor) -> list[int]:
    """At most PLACES flat indices, evenly spaced."""
    return list(range(0, tensor.numel(), max(1, -(-tensor.numel() // PLACES))))


def jvp(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The gradients at some elements, by forward-mode differentiation along one coordinate at a time."""
    loss, wanted = function_of(function, tensors, options, names)
    wanted = [one.contiguous() for one in wanted]  # torch has no tangents of tensors that overlap themselves
    value = loss(*wanted)
    incoming = use.incoming(value.detach()).double()

    def slope(place: int, index: int) -> Tensor:
        tangents = [torch.zeros(one.shape, dtype=one.dtype, device=one.device) for one in wanted]
        tangents[place].view(-1)[index] = 1.0
        tangent: Tensor = torch.func.jvp(loss, tuple(wanted), tuple(tangents))[1]
        found = tangent.double() * incoming
        return found.flatten()[index] if found.shape == wanted[place].shape else found.sum()

    gradients = [
        torch.stack([slope(place, index) for index in places_of(one)]).to(one.dtype) if one.numel() else one.flatten()
        for place, one in enumerate(wanted)
    ]
    return {"value": value} | named(names, gradients)


def at_places(results: Tensors) -> Tensors:
    """Of every gradient, the elements that `jvp` computes."""
    return {
        name: one.flatten()[places_of(one)] if name.startswith("gradient") else one for name, one in results.items()
    }


def vmap(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of the first of two samples, under `torch.vmap`."""
    stacked = {name: torch.stack([one, one]) for name, one in tensors.items() if isinstance(one, Tensor)}
    fixed = {name: one for name, one in tensors.items() if name not in stacked}

    def both(batch: Tensors) -> Tensors:
        if not names:
            return {"value": function(**batch, **fixed, **options)}
        return func_grad(function, batch | fixed, options, names, use)

    results = torch.vmap(both)(stacked)
    return {name: one[0] for name, one in results.items()}


def traced(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients by a graph of `make_fx`, traced with tensors that hold no values."""
    fixed = {name: one for name, one in tensors.items() if not isinstance(one, Tensor)}
    given = {name: one for name, one in tensors.items() if name not in fixed}
    keys: list[str] = []

    def both(*arguments: Tensor) -> list[Tensor]:
        own = dict(zip(given, arguments, strict=True)) | fixed
        found = use(function, own, options, names) if names else {"value": function(**own, **options)}
        keys[:] = found
        return list(found.values())

    graph = make_fx(both, tracing_mode="fake")(*given.values())
    return dict(zip(keys, graph(*given.values()), strict=True))


@dataclass(frozen=True)
class Way:
    """`produce` computes the results; `narrow` compares the gradients of single precision and above at some places.

    A tangent is rounded before it meets an incoming gradient, so it has no digits to spare in half precision.
    """

    name: str
    produce: Produce
    narrow: bool = False

    def serves(self, check: Check, dtype: str) -> bool:
        """Whether the results in this dtype are comparable with those of a backward pass."""
        return not (self.narrow and dtype in ("bfloat16", "float16")) or bool(check.raises)

    def applies(self, check: Check) -> bool:
        """Whether a check can be run this way: one forward and one backward pass, or an error."""
        return isinstance(check.use, Backward) or bool(check.raises)


WAYS = (
    Way("create_graph", create_graph),
    Way("func.grad", func_grad),
    Way("jvp", jvp, narrow=True),
    Way("vmap", vmap),
    Way("make_fx", traced),
)


def run_check(loss: Loss, name: str, function: Function, check: Check, dtype: str, way: Way) -> Result:
    """The result of one check on the CPU, its results computed this way."""
    use = check.use if isinstance(check.use, Backward) else once

    def produce(tensors: Tensors) -> Tensors:
        names = () if check.raises else wanted(loss, tensors)
        return way.produce(function, tensors, check.options, names, use)

    return judged(loss, name, produce, check, dtype, view=at_places if way.narrow else dict)
