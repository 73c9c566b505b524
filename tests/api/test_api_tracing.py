"""Tracing and tensors without values: every implementation gives a graph, shapes, or a refusal by name."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import lossimpl
from lossimpl.inputs import make
from lossimpl.spec import Case

NAMES = list(lossimpl.LOSSES)


def inputs(name: str, reduction: str = "mean") -> dict[str, Any]:
    """Small inputs of a loss."""
    return make(Case(name, (6, 5), "float32", options=(("reduction", reduction),)))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_fake_tensors_get_shape_and_type(name: str, reduction: str, implementation: str) -> None:
    """Under FakeTensorMode no value is read; expected: shape, dtype and gradients' shapes of the real call."""
    real = inputs(name, reduction)
    loss = partial(getattr(lossimpl, name), implementation=implementation)
    expected = loss(**real)
    with FakeTensorMode() as mode:
        fake = {key: mode.from_tensor(one) if isinstance(one, Tensor) else one for key, one in real.items()}
        leaves = [fake[key].requires_grad_() for key in lossimpl.get(name).differentiable]
        got = loss(**fake)
        gradients = torch.autograd.grad(got.sum(), leaves)
    assert (expected.shape, expected.dtype) == (got.shape, got.dtype)
    assert [one.shape for one in leaves] == [one.shape for one in gradients]


@pytest.mark.parametrize("name", NAMES)
def test_meta_tensors_get_shape_and_type(name: str) -> None:
    """Tensors of the meta device: auto falls back, vectorized and naive serve, native refuses by name."""
    meta = {key: one.to("meta") if isinstance(one, Tensor) else one for key, one in inputs(name).items()}
    for implementation in ("auto", "vectorized", "naive"):
        got = getattr(lossimpl, name)(**meta, implementation=implementation)
        assert (torch.device("meta"), torch.Size([]), torch.float32) == (got.device, got.shape, got.dtype)
    with pytest.raises(lossimpl.Unavailable, match="native has kernels for cpu and cuda only, not for meta"):
        getattr(lossimpl, name)(**meta, implementation="native")
    assert lossimpl.choose(name, next(iter(meta.values()))).implementation in ("torch", "vectorized")


@pytest.mark.parametrize("name", NAMES)
def test_make_fx_traces_value_and_gradient(name: str, implementation: str) -> None:
    """The traced graph, run on other values, gives the eager value and gradients."""
    key = lossimpl.get(name).differentiable[0]
    one, other = inputs(name), make(Case(name, (6, 5), "float32", seed=1))

    def both(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        named = dict(zip(one, arguments, strict=True))
        leaf = named[key].detach().requires_grad_()
        value = getattr(lossimpl, name)(**named | {key: leaf}, reduction="mean", implementation=implementation)
        return value, torch.autograd.grad(value, leaf)[0]

    one, other = ({k: v for k, v in made.items() if isinstance(v, Tensor)} for made in (one, other))
    graph = make_fx(both, tracing_mode="fake")(*one.values())
    for got, expected in zip(graph(*other.values()), both(*other.values()), strict=True):
        torch.testing.assert_close(got, expected)


class Both(torch.nn.Module):
    """Two losses, as modules of ours."""

    def __init__(self, implementation: str) -> None:
        super().__init__()
        self.entropy = lossimpl.nn.CrossEntropyLoss(implementation=implementation)
        self.square = lossimpl.nn.MSELoss(implementation=implementation)

    def forward(self, x: Tensor, labels: Tensor, y: Tensor) -> Tensor:
        """Their sum."""
        result: Tensor = self.entropy(x, labels) + self.square(x, y)
        return result


X, LABELS, Y = torch.randn(6, 5), torch.arange(6) % 5, torch.rand(6, 5)


def expected_of(x: Tensor, labels: Tensor, y: Tensor) -> Tensor:
    """What torch computes."""
    return F.cross_entropy(x, labels) + F.mse_loss(x, y)


def test_modules_are_traced_symbolically(implementation: str) -> None:
    """torch.fx.symbolic_trace, whose proxies are no tensors; the graph computes torch's number."""
    graph = torch.fx.symbolic_trace(Both(implementation))
    torch.testing.assert_close(graph(X, LABELS, Y), expected_of(X, LABELS, Y))


@pytest.mark.parametrize("implementation", ["auto", "native", "vectorized"], indirect=True)
def test_export_with_a_dynamic_batch(implementation: str) -> None:
    """torch.export, then another batch size."""
    size = torch.export.Dim("rows")
    shapes = {"x": {0: size}, "labels": {0: size}, "y": {0: size}}
    program = torch.export.export(Both(implementation), (X, LABELS, Y), dynamic_shapes=shapes)
    twice = [torch.cat([one, one + 0]) for one in (X, LABELS, Y)]
    torch.testing.assert_close(program.module()(*twice), expected_of(*twice))


@pytest.mark.parametrize("name", NAMES)
def test_naive_refuses_a_dynamic_batch(name: str) -> None:
    """It walks sample by sample, so its program has a fixed size: refused with what to do instead."""
    made = inputs(name)

    class One(torch.nn.Module):
        def forward(self, *tensors: Tensor) -> Tensor:
            result: Tensor = getattr(lossimpl, name)(*tensors, reduction="mean", implementation="naive")
            return result

    tensors = tuple(one for one in made.values() if isinstance(one, Tensor))
    shapes = {"tensors": tuple({0: torch.export.Dim("rows")} for _ in tensors)}
    with pytest.raises(lossimpl.Unavailable, match="implementation='vectorized'"):
        torch.export.export(One(), tensors, dynamic_shapes=shapes)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compiled_code_with_dynamic_shapes(reduction: str, implementation: str) -> None:
    """One function of torch.compile for several shapes, with a broadcast target; expected: torch's numbers."""
    torch._dynamo.reset()  # naive is compiled once per number of rows, and all parameters share one limit
    call = torch.compile(
        lambda a, b: lossimpl.mse_loss(a, b, reduction=reduction, implementation=implementation),  # type: ignore[arg-type]  # literal
        fullgraph=True,
        dynamic=True,
        backend="aot_eager",
    )
    for rows in (3, 4, 6):
        x, y = X[:rows], Y[:1]
        torch.testing.assert_close(call(x, y), F.mse_loss(x, y.expand_as(x), reduction=reduction))


BAD = {
    "reduction": lambda loss, x, y: loss(x, y, reduction="avg"),
    "target": lambda loss, x, y: loss(x, torch.ones(7, 7)),
    "weight": lambda loss, x, y: loss(x, y, weight=torch.ones(3)),
}


@pytest.mark.parametrize("argument", BAD)
def test_bad_arguments_are_named_by_every_tracer(argument: str, implementation: str) -> None:
    """make_fx, torch.func.grad, vmap, jvp, torch.export and torch.compile: an error whose message has the argument."""
    loss = partial(lossimpl.mse_loss, implementation=implementation)

    def call(x: Tensor) -> Tensor:
        result: Tensor = BAD[argument](loss, x, Y)
        return result

    class Module(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call(x)

    for attempt in (
        lambda: make_fx(call, tracing_mode="fake")(X),
        lambda: torch.func.grad(call)(X),
        lambda: torch.vmap(call)(torch.stack([X, X])),
        lambda: torch.func.jvp(call, (X,), (X,)),
        lambda: torch.export.export(Module(), (X,)),
        lambda: torch.compile(call, fullgraph=True, backend="aot_eager")(X),
    ):
        with pytest.raises((RuntimeError, ValueError), match=argument):
            attempt()


def test_full_graph_with_a_broadcast_target(implementation: str) -> None:
    """The warning of a broadcast target breaks no graph; expected: torch's number."""
    call = torch.compile(
        lambda a, b: lossimpl.mse_loss(a, b, implementation=implementation), fullgraph=True, backend="aot_eager"
    )
    torch.testing.assert_close(call(X, Y[:1]), F.mse_loss(X, Y[:1].expand_as(X)))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.torch.jit:DeprecationWarning")
def test_jit_trace(implementation: str) -> None:
    """torch.jit.trace gives a program that computes torch's number on other values."""
    program = torch.jit.trace(Both(implementation), (X, LABELS, Y))
    torch.testing.assert_close(program(Y, LABELS, X), expected_of(Y, LABELS, X))


NESTED = torch.nested.nested_tensor([torch.randn(2), torch.randn(3)], layout=torch.jagged)
STRIDED = torch.nested.nested_tensor([torch.randn(2), torch.randn(3)], layout=torch.strided)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    ("tensor", "says"),
    [(NESTED, "nested"), (STRIDED, "nested"), (X.to_sparse(), "sparse_coo"), (X.to_sparse_csr(), "sparse_csr")],
)
def test_tensors_that_are_not_dense_are_refused(tensor: Tensor, says: str, implementation: str) -> None:
    """Refused with the name of the argument and of what it is."""
    with pytest.raises(NotImplementedError, match=f"input has .*{says}.*must be dense"):
        lossimpl.mse_loss(tensor, tensor, implementation=implementation)
