"""Other kinds of tensors: subclasses, inference mode, quantised, other devices, integers, no classes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lossimpl
from lossimpl.inputs import make
from lossimpl.spec import Case

TwoTensor: Any = importlib.import_module("torch.testing._internal.two_tensor").TwoTensor


class Subclass(torch.Tensor):
    """A subclass that leaves everything to torch, as image tensors of torchvision do."""


class Named(torch.Tensor):
    """A subclass that sees every function called on it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().__torch_function__(func, types, args, kwargs or {})


def differentiated(name: str, implementation: str, wrap: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The value and the gradient of the first argument, with every tensor wrapped."""
    made = make(Case(name, (6, 4)))
    first, *others = (wrap(made[key]) for key in lossimpl.get(name).tensors)
    leaf = first.requires_grad_()
    value = getattr(lossimpl, name)(leaf, *others, reduction="mean", implementation=implementation)
    value.backward()
    assert leaf.grad is not None
    return [value.detach(), leaf.grad]


@pytest.mark.parametrize("kind", [Subclass, Named])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_subclasses(name: str, kind: type[Tensor], implementation: str) -> None:
    """The number of plain tensors, in the subclass's type, as torch returns it."""
    got = differentiated(name, implementation, lambda one: one.as_subclass(kind))
    assert isinstance(got[0], kind)
    for one, expected in zip(got, differentiated(name, implementation, lambda one: one), strict=True):
        assert torch.equal(one.as_subclass(torch.Tensor), expected)


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_wrappers(name: str, implementation: str) -> None:
    """A wrapper that computes on two tensors gives both numbers."""
    got = differentiated(name, implementation, lambda one: TwoTensor(one.clone(), one.clone()))
    for one, expected in zip(got, differentiated(name, implementation, lambda one: one), strict=True):
        assert torch.equal(one.a, expected)
        assert torch.equal(one.b, expected)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
@pytest.mark.parametrize("implementation", ["auto", "native"], indirect=True)
def test_targets_from_inference_mode(name: str, reduction: str, implementation: str) -> None:
    """Targets may be inference tensors, which torch's autograd refuses to save; expected: the gradient without."""
    key, *others = lossimpl.get(name).tensors
    with torch.inference_mode():
        inferred = make(Case(name, (6, 4)))
    made = make(Case(name, (6, 4)))
    gradients = []
    for source in (inferred, made):
        leaf = made[key].clone().requires_grad_()
        rest = [source[one] for one in others]
        value = getattr(lossimpl, name)(leaf, *rest, reduction=reduction, implementation=implementation)
        gradients += torch.autograd.grad(value.sum(), leaf)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "cross_entropy"])
def test_quantised_tensors_are_refused(name: str, implementation: str) -> None:
    """As input, and as target where there is one of floats: the message names the argument and its dtype."""
    quantised = torch.quantize_per_tensor(torch.randn(6, 4), 0.1, 0, torch.quint8)
    made = make(Case(name, (6, 4)))
    for key in ("input", "target")[: 1 + (name != "cross_entropy")]:
        with pytest.raises(NotImplementedError, match=f"{key} has dtype torch.quint8.*must be dense"):
            getattr(lossimpl, name)(**made | {key: quantised}, implementation=implementation)


def integers(*values: int, dtype: torch.dtype = torch.int64) -> Tensor:
    """A vector of whole numbers."""
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize("implementation", ["auto", "vectorized", "naive", "torch"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
@pytest.mark.parametrize("options", [{"reduction": "none"}, {"reduction": "sum"}, {"weight": torch.tensor([2.0, 1.0])}])
def test_l1_of_integers(options: dict[str, Any], dtype: torch.dtype, implementation: str) -> None:
    """Served where nothing divides, or the sum of weights does; expected: torch's numbers, which wrap, and dtype."""
    pair = integers(1, 9, dtype=dtype), integers(4, 4, dtype=dtype)
    got = lossimpl.l1_loss(*pair, **options, implementation=implementation)
    torch.testing.assert_close(got, F.l1_loss(*pair, **options))


def test_l1_of_integers_has_no_mean(implementation: str) -> None:
    """torch cannot infer the type of a mean."""
    with pytest.raises(RuntimeError, match=r"input has dtype torch.int64.*must be torch.float64"):
        lossimpl.l1_loss(integers(1), integers(2), implementation=implementation)


@pytest.mark.parametrize("implementation", ["auto", "native", "vectorized", "naive", "torch"])
@pytest.mark.parametrize("weight", [torch.float64, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_probabilities_promote_with_a_weight(weight: torch.dtype, reduction: Any, implementation: Any) -> None:
    """A weight of another type; expected: torch's value, gradient and types."""
    if implementation == "native" and lossimpl.get("mse_loss").available("cpu")["native"] is not None:
        pytest.skip("needs the native kernels")
    x, target = torch.randn(3, 4), torch.randn(3, 4).softmax(1)
    factors = torch.tensor([1, 2, 3, 1]).to(weight)
    results = []
    for function, options in ((lossimpl.cross_entropy, {"implementation": implementation}), (F.cross_entropy, {})):
        leaf = x.clone().requires_grad_()
        value = function(leaf, target, factors, reduction=reduction, **options)
        results.append([value.detach(), *torch.autograd.grad(value.sum(), leaf)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("implementation", ["auto", "vectorized", "naive", "torch"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("target", [torch.full((2,), -100), torch.zeros(2, 0)], ids=["labels", "probabilities"])
def test_no_classes(target: Tensor, reduction: Any, smoothing: float, implementation: Any) -> None:
    """Two rows over no class; expected: torch's numbers. The kernel once left its memory as it was."""
    options = {"reduction": reduction, "label_smoothing": smoothing}
    expected = F.cross_entropy(torch.zeros(2, 0), target, **options)
    got = lossimpl.cross_entropy(torch.zeros(2, 0), target, **options, implementation=implementation)
    assert torch.equal(got.nan_to_num(7), expected.nan_to_num(7))


def test_focal_loss_over_no_class(implementation: str) -> None:
    """Every row is ignored: nothing each, NaN in the mean; native has no kernel for it."""
    call = {"alpha": None, "reduction": "none", "implementation": implementation}
    empty, labels = torch.zeros(2, 0), torch.full((2,), -100)
    if implementation == "native":
        with pytest.raises(lossimpl.Unavailable, match="zero classes"):
            lossimpl.softmax_focal_loss(empty, labels, **call)
        return
    assert lossimpl.softmax_focal_loss(empty, labels, **call).tolist() == [0, 0]
    assert math.isnan(lossimpl.softmax_focal_loss(empty, labels, **call | {"reduction": "mean"}))


@pytest.mark.parametrize("kinds", [(torch.float64, torch.float32), (torch.float32, torch.bfloat16)], ids=str)
@pytest.mark.parametrize("implementation", ["auto", "vectorized", "naive", "torch"])
def test_mixed_types_of_binary_cross_entropy_promote(
    kinds: tuple[torch.dtype, torch.dtype], implementation: Any
) -> None:
    """In every implementation, in either order; torch's own function rounds to the target's type."""
    for one, other in (kinds, kinds[::-1]):
        loss = lossimpl.binary_cross_entropy_with_logits(
            torch.zeros(2, dtype=one), torch.ones(2, dtype=other), implementation=implementation
        )
        assert loss.dtype == torch.promote_types(one, other)
        torch.testing.assert_close(loss.double(), torch.tensor(math.log(2)).double(), rtol=1e-6, atol=0)


def test_alpha_without_dimensions_is_a_number(implementation: str) -> None:
    """A tensor of one number; one that asks for a gradient is refused by name."""
    x, labels = torch.randn(3, 5), torch.tensor([0, 4, 2])
    got = lossimpl.softmax_focal_loss(x, labels, torch.tensor(0.25), implementation=implementation)
    torch.testing.assert_close(got, lossimpl.softmax_focal_loss(x, labels, 0.25, implementation="vectorized"))
    with pytest.raises(TypeError, match=r"alpha must be a number, got a tensor of shape .* that requires grad"):
        lossimpl.softmax_focal_loss(x, labels, torch.tensor(0.25, requires_grad=True), implementation=implementation)
