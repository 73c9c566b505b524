"""Autograd: retained graphs, second derivatives, scaled gradients, and composition with the rest of torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lossimpl
from lossimpl.inputs import make
from lossimpl.kernels import cpp
from lossimpl.spec import Case

NAMES = list(lossimpl.LOSSES)


def gradient_of(leaf: Tensor) -> Tensor:
    """The gradient after backward."""
    assert leaf.grad is not None
    return leaf.grad


def arguments(
    name: str, reduction: str = "mean", dtype: str = "float64", shape: tuple[int, ...] = (5, 4)
) -> dict[str, Any]:
    """Small inputs of a loss, differentiable ones with gradients."""
    made = make(Case(name, shape, dtype, options=(("reduction", reduction),)))
    return made | {key: made[key].requires_grad_() for key in lossimpl.get(name).differentiable}


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_a_retained_graph_gives_the_same_gradient_again(name: str, reduction: str) -> None:
    """Also after the first result was overwritten; a second backward without retain_graph is torch's error."""
    made = arguments(name, reduction)
    leaf = made[lossimpl.get(name).tensors[0]]
    before = leaf.detach().clone()
    loss = cpp.load(name)(**made).sum()
    (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    expected = first.clone()
    first.mul_(7)
    (second,) = torch.autograd.grad(loss, leaf, torch.tensor(2.0, dtype=loss.dtype), retain_graph=True)
    torch.testing.assert_close(second, 2 * expected)
    (third,) = torch.autograd.grad(loss, leaf)
    assert torch.equal(third, expected)
    assert torch.equal(leaf, before)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_backward_returns_the_gradient_without_a_copy() -> None:
    """The leaf holds the memory that forward filled: backward allocates nothing of that size."""
    x, y = torch.randn(1 << 16, requires_grad=True), torch.randn(1 << 16)
    loss = cpp.load("mse_loss")(x, y)
    with torch.profiler.profile(profile_memory=True) as profile:
        loss.backward()
    assert sum(max(0, event.self_cpu_memory_usage) for event in profile.events()) < x.numel() * 4


def test_logits_may_be_overwritten_after_forward() -> None:
    """The gradient is computed in forward, so changing the logits in place afterwards does not affect it."""
    x = torch.randn(4, 5, requires_grad=True)
    labels, scaled = torch.arange(4), x * 1
    loss = cpp.load("cross_entropy")(scaled, labels)
    scaled.detach().zero_()
    loss.backward()
    expected = torch.autograd.grad(F.cross_entropy(x, labels), x)[0]
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives(name: str) -> None:
    """gradcheck and gradgradcheck in float64, for the mean and per element."""
    for reduction in ("mean", "none"):
        made = arguments(name, reduction, shape=(3, 4))
        keys = list(lossimpl.get(name).differentiable)
        if name == "binary_cross_entropy":
            made["input"] = made["input"].detach().clamp(0.05, 0.95).requires_grad_()

        def call(*leaves: Tensor, made: dict[str, Any] = made, keys: list[str] = keys) -> Tensor:
            result: Tensor = cpp.load(name)(**(made | dict(zip(keys, leaves, strict=True))))
            return result

        leaves = [made[key] for key in keys]
        assert torch.autograd.gradcheck(call, leaves)
        assert torch.autograd.gradgradcheck(call, leaves)


def test_one_tensor_as_two_arguments() -> None:
    """First and second derivative of mse(x, 2x) are 2x / n and 2 / n: both arguments contribute their gradients."""
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(cpp.load("mse_loss")(x, 2 * x), x, create_graph=True)
    torch.testing.assert_close(first, 2 * x / 5)
    torch.testing.assert_close(torch.autograd.grad(first.sum(), x)[0], torch.full_like(x, 2 / 5))


def test_a_scaled_half_precision_gradient_does_not_underflow() -> None:
    """fp16 mean over 2^16 rows: the unscaled gradient is below fp16's normal range, the scaled one is exact."""
    x = torch.zeros(1 << 16, 2, dtype=torch.float16, requires_grad=True)
    labels = torch.zeros(1 << 16, dtype=torch.long)
    cpp.load("cross_entropy")(x, labels).backward(torch.tensor(2.0**15, dtype=torch.float16))
    expected = torch.tensor([-0.25, 0.25], dtype=torch.float16)
    assert torch.equal(gradient_of(x), expected.expand_as(x))


@pytest.mark.parametrize("name", NAMES)
def test_operators_pass_opcheck(name: str) -> None:
    """Schema, fake kernels and autograd registration pass torch's checks."""
    made = arguments(name, dtype="float32")
    torch.library.opcheck(getattr(torch.ops.lossimpl, name).default, (), made)


@torch._dynamo.config.patch(error_on_recompile=True)
def test_fullgraph_compile_without_recompiles() -> None:
    """Losses of every family compile into one graph for all batch sizes, with the gradients of the eager call."""
    names = ("cross_entropy", "softmax_focal_loss", "mse_loss", "sigmoid_focal_loss", "triplet_margin_loss")
    ce, softmax_focal, mse, focal, triplet = (cpp.load(name) for name in names)

    def function(x: Tensor, labels: Tensor, y: Tensor) -> Tensor:
        total = ce(2 * x, labels) + softmax_focal(x, labels, reduction="none").mean() + mse(x, y)
        result: Tensor = total + focal(x, y).sum() + triplet(x, y, y + 1)
        return result

    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for rows in (6, 9, 14):
        x, labels, y = torch.randn(rows, 5), torch.arange(rows) % 5, torch.rand(rows, 5)
        twins = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        for leaf, call in zip(twins, (compiled, function), strict=True):
            call(leaf, labels, y).backward()
        torch.testing.assert_close(twins[0].grad, twins[1].grad)


@pytest.mark.parametrize(
    "name", ["cross_entropy", "mse_loss", "huber_loss", "binary_cross_entropy_with_logits", "triplet_margin_loss"]
)
def test_autocast_gives_torchs_dtype(name: str) -> None:
    """Under CPU autocast the loss is float32, as torch's is, and the gradient has the input's dtype."""
    made = arguments(name, dtype="bfloat16")
    with torch.autocast("cpu", torch.bfloat16):
        loss, reference = cpp.load(name)(**made), getattr(F, name)(**made)
    loss.backward()
    assert loss.dtype == reference.dtype == torch.float32
    assert made[lossimpl.get(name).tensors[0]].grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["cross_entropy", "mse_loss", "log_cosh_loss", "sigmoid_focal_loss"])
def test_function_transforms(name: str) -> None:
    """vmap, vmap of grad, jvp and hessian equal the equivalent loops."""
    loss = cpp.load(name)
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    y = torch.arange(12).view(3, 4) % 5 if name == "cross_entropy" else torch.rand(3, 4, 5, dtype=torch.float64)

    def mean(a: Tensor, b: Tensor) -> Tensor:
        result: Tensor = loss(a, b, reduction="mean")
        return result

    def gradient(a: Tensor, b: Tensor) -> Tensor:
        leaf = a.detach().requires_grad_()
        return torch.autograd.grad(mean(leaf, b), leaf)[0]

    samples = list(zip(x, y, strict=True))
    torch.testing.assert_close(torch.vmap(mean)(x, y), torch.stack([mean(a, b) for a, b in samples]))
    torch.testing.assert_close(
        torch.vmap(torch.func.grad(mean))(x, y), torch.stack([gradient(a, b) for a, b in samples])
    )
    _, tangent = torch.func.jvp(lambda a: mean(a, y[0]), (x[0],), (torch.ones_like(x[0]),))
    torch.testing.assert_close(tangent, gradient(*samples[0]).sum())
    hessian = torch.func.hessian(lambda a: mean(a, y[0]))(x[0])
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda a: mean(a, y[0]), x[0]))


def test_inference_mode_and_no_grad() -> None:
    """Neither builds a graph or changes the loss."""
    x, y = torch.randn(5, requires_grad=True), torch.randn(5)
    expected = cpp.load("mse_loss")(x, y)
    with torch.inference_mode():
        assert cpp.load("mse_loss")(x, y).item() == expected.item()
    with torch.no_grad():
        assert not cpp.load("mse_loss")(x, y).requires_grad


class Model(torch.nn.Module):
    """A module that uses a native loss."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4))
        self.loss = cpp.load("mse_loss")

    def forward(self, x: Tensor) -> Tensor:
        """The loss of the scaled input."""
        result: Tensor = self.loss(x * self.weight, x)
        return result


class Losses(torch.utils.data.Dataset[float]):
    """Samples that are losses, computed in the worker process."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> float:
        return float(cpp.load("mse_loss")(torch.full((40000,), float(index)), torch.zeros(40000)))


def test_deep_copies_and_workers() -> None:
    """A deep-copied module has its own gradients, and a forked DataLoader worker computes losses."""
    model = Model()
    twin = copy.deepcopy(model)
    twin(torch.ones(4)).backward()
    assert model.weight.grad is None
    assert twin.weight.grad is not None
    cpp.load("mse_loss")(torch.ones(1 << 18), torch.zeros(1 << 18))  # the parent's threads exist before the fork
    loader = torch.utils.data.DataLoader(Losses(), num_workers=1, multiprocessing_context="fork", timeout=60)
    assert [float(batch) for batch in loader] == [0.0, 1.0, 4.0, 9.0]
