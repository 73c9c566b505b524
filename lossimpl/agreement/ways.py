"""The ways in which people call a loss: plainly, under a transform, or through a tracer.

A way takes what a use takes and gives the results of one forward and one backward pass, computed its own way; the
expected numbers stay those of the plain call. A check that expects an error expects it under every way. The checks
whose use is another one (a second walk through a graph, autocast) run under `call` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, judged, wanted
from lossimpl.agreement.uses import (
    Backward,
    Tensors,
    leaves,
    named,
    once,
    per_element,
    scaled,
    second_derivative,
)
from lossimpl.spec import Function, Loss

Produce = Callable[[Function, Tensors, Mapping[str, Any], tuple[str, ...], Any], Tensors]
PLACES = 3  # elements of an argument along which a forward-mode derivative is taken


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


def slopes(
    loss: Callable[..., Tensor], wanted: list[Tensor], pushed: Callable[..., Tensor], use: Backward
) -> dict[int, Tensor]:
    """Some elements of every argument's gradient, from tangents along one coordinate at a time.

    `pushed(*tangents)` is the tangent of the loss at `wanted`.
    """
    incoming = use.incoming(loss(*wanted).detach()).double()

    def slope(place: int, index: int) -> Tensor:
        tangents = [torch.zeros(one.shape, dtype=one.dtype, device=one.device) for one in wanted]
        tangents[place].view(-1)[index] = 1.0
        found = pushed(*tangents).double() * incoming
        return found.flatten()[index] if found.shape == wanted[place].shape else found.sum()

    return {
        place: torch.stack([slope(place, index) for index in places_of(one)]).to(one.dtype)
        if one.numel()
        else one.flatten()
        for place, one in enumerate(wanted)
    }


def jvp(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The gradients at some elements, by forward-mode differentiation."""
    loss, wanted = function_of(function, tensors, options, names)
    wanted = [one.contiguous() for one in wanted]  # torch has no tangents of tensors that overlap themselves

    def pushed(*tangents: Tensor) -> Tensor:
        result: Tensor = torch.func.jvp(loss, tuple(wanted), tangents)[1]
        return result

    return {"value": loss(*wanted)} | named(names, slopes(loss, wanted, pushed, use).values())


def linearize(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The gradients at some elements, by `torch.func.linearize`."""
    loss, wanted = function_of(function, tensors, options, names)
    if not names:
        return {"value": loss()}
    wanted = [one.contiguous() for one in wanted]
    value, pushed = torch.func.linearize(loss, *wanted)
    return {"value": value} | named(names, slopes(loss, wanted, pushed, use).values())


def value_alone(results: Tensors) -> Tensors:
    """The value."""
    return {"value": results["value"]}


def at_places(results: Tensors) -> Tensors:
    """Of every gradient, the elements that `jvp` computes; none where the value is NaN, which has no tangent."""
    value = results.get("value")  # a check may ignore it
    if value is not None and bool(value.isnan().any()):
        return {"value": value}
    return {
        name: one.flatten()[places_of(one)] if name.startswith("gradient") else one for name, one in results.items()
    }


def vmap(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of the first of two samples, under `torch.vmap`."""
    given, fixed = split(tensors)
    stacked = {name: torch.stack([one, one]) for name, one in given.items()}

    def both(batch: Tensors) -> Tensors:
        if not names:
            return {"value": function(**batch, **fixed, **options)}
        return func_grad(function, batch | fixed, options, names, use)

    results = torch.vmap(both)(stacked)
    return {name: one[0] for name, one in results.items()}


def nested_vmap(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of the first of two samples, all but one argument of which belong to the outer vmap alone."""
    given, fixed = split(tensors)
    first = next(iter(given), "")
    twice = {name: torch.stack([one] * 2) for name, one in given.items()}
    if first:
        twice[first] = torch.stack([twice[first]] * 2, 1)

    def both(batch: Tensors) -> Tensors:
        return func_grad(function, batch | fixed, options, names, use)

    inner = torch.vmap(both, ({name: 0 if name == first else None for name in given},)) if first else both
    return {name: one[0, 0] for name, one in torch.vmap(inner)(twice).items()}


def functionalize(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients under `torch.func.functionalize`."""
    given, fixed = split(tensors)
    result: Tensors = torch.func.functionalize(lambda own: func_grad(function, own | fixed, options, names, use))(given)
    return result


def hessian(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: object
) -> Tensors:
    """What `uses.second_derivative` computes, by `torch.func.hessian`: the rows of the hessian, weighted and summed."""
    del use
    loss, wanted = function_of(function, tensors, options, names)
    places = tuple(range(len(wanted)))

    def total(*primals: Tensor) -> Tensor:
        value = loss(*primals)
        return (value * scaled(value.detach())).sum()

    blocks = torch.func.hessian(total, places)(*wanted)
    weights = [per_element(one) for one in wanted]
    sums = [
        torch.stack([torch.tensordot(weights[row], blocks[row][place], weights[row].dim()) for row in places]).sum(0)
        for place in places
    ]
    return named(names, sums, "second derivative by")


def split(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """The arguments that are tensors, and the others."""
    given = {name: one for name, one in tensors.items() if isinstance(one, Tensor)}
    return given, {name: one for name, one in tensors.items() if name not in given}


def traced(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients by a graph of `make_fx`, traced with tensors that hold no values."""
    given, fixed = split(tensors)
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

    A tangent is rounded before it meets an incoming gradient, so it has no digits to spare in half precision. A way
    that `records` a graph may answer invalid values by a RuntimeError of the graph, which names the argument. A way
    that is `forward_only` gives values alone, and `sample` bounds how many cases of a loss a costly way is asked for.
    """

    name: str
    produce: Produce
    narrow: bool = False
    records: bool = False
    forward_only: bool = False
    sample: int = 0

    @property
    def view(self) -> Callable[[Tensors], Tensors]:
        """What is compared of the expected results."""
        return value_alone if self.forward_only else at_places if self.narrow else dict

    def expects(self, check: Check) -> Check:
        """The check as this way can keep it."""
        if not (self.records and check.raises):
            return check
        return replace(check, raises=(*check.raises, RuntimeError), says=check.says[:1])

    def serves(self, check: Check, dtype: str) -> bool:
        """Whether the results in this dtype are comparable with those of a backward pass."""
        return not (self.narrow and dtype in ("bfloat16", "float16")) or bool(check.raises)

    def applies(self, check: Check) -> bool:
        """Whether a check can be run this way: one forward and one backward pass, or an error."""
        return isinstance(check.use, Backward) or bool(check.raises)


class Second(Way):
    """A way to the second derivative, for the checks that use a loss so."""

    def applies(self, check: Check) -> bool:
        """Whether a check asks for the second derivative."""
        return check.use is second_derivative


WAYS = (
    Way("create_graph", create_graph),
    Way("func.grad", func_grad),
    Way("jvp", jvp, narrow=True),
    Way("vmap", vmap),
    Way("make_fx", traced, records=True, sample=100),
)
OTHERS = (
    Way("linearize", linearize, narrow=True, sample=24),
    Way("nested vmap", nested_vmap, sample=100),
    Way("functionalize", functionalize, sample=100),
    Second("hessian", hessian),
)


RECORDED = Way("recorded", traced, records=True)  # what any program may do that is recorded now and run later


def run_check(loss: Loss, name: str, function: Function, check: Check, dtype: str, way: Way) -> Result:
    """The result of one check on the CPU, its results computed this way."""
    use = check.use if isinstance(check.use, Backward) else once

    def produce(tensors: Tensors) -> Tensors:
        names = () if check.raises else wanted(loss, tensors)
        return way.produce(function, tensors, check.options, names, use)

    return judged(loss, name, produce, way.expects(check), dtype, view=way.view)
