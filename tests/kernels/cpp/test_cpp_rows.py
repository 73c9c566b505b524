"""Claims about rows of classes: whatever a row's length and the order of its logits, value and gradient are right.

A row is summed in blocks of 2048 about a reference that moves up where a block exceeds it, its terms are kept for the
gradient up to 2^17 classes, and taken four vectors at a time; those e^61 below the reference, and all of a row beyond
100,000, go another way. Expected values are torch's in float64, of the same inputs.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lossimpl.kernels import cpp

INFINITY = float("inf")
LENGTHS = (2, 15, 16, 17, 63, 64, 65, 1000, 2047, 2048, 2049, 5003, 2**17 - 1, 2**17, 2**17 + 1)


def falling(classes: int) -> Tensor:
    """The first block has the maximum."""
    return torch.linspace(60, -60, classes)


def rising(classes: int) -> Tensor:
    """Every block exceeds the one before by more than the slack, as long as floats allow."""
    return torch.linspace(-60, 60, classes) * max(1, classes / 5003)


def cliff(classes: int) -> Tensor:
    """Only the last class counts."""
    return torch.cat([torch.full((classes - 1,), -300.0), torch.tensor([300.0])])


def masked(classes: int) -> Tensor:
    """Minus infinity up to the last quarter, and here and there."""
    x = torch.randn(classes)
    x[: 3 * classes // 4] = -INFINITY
    x[-1] = -1000.0
    return x


def normal(classes: int) -> Tensor:
    """What a network says."""
    return 3 * torch.randn(classes)


def spread(classes: int) -> Tensor:
    """Terms from 1 to what no float holds, side by side."""
    return 20 * torch.randn(classes)


def high(classes: int) -> Tensor:
    """About as far from zero as a short way goes."""
    return normal(classes) + 99_990


def beyond(classes: int) -> Tensor:
    """Farther."""
    return normal(classes) - 300_000


MAKERS = (normal, falling, rising, cliff, masked, spread, high, beyond)


def check(x: Tensor, target: Tensor, atol: float = 1e-37, **options: float) -> None:
    """Value and gradient of native agree with float64."""
    x.requires_grad_()
    value = cpp.load("cross_entropy")(x, target, reduction="none", **options)
    (slope,) = torch.autograd.grad(value.sum(), x)
    wide = x.detach().double().requires_grad_()
    expected = functional.cross_entropy(wide, target, reduction="none", **options)
    (expected_slope,) = torch.autograd.grad(expected.sum(), wide)
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-37)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=4e-6, atol=atol)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("classes", LENGTHS)
def test_rows_of_every_length(classes: int, make: object) -> None:
    """Value and gradient, with the target first, last and in the middle of rows that start at odd places."""
    torch.manual_seed(0)
    assert callable(make)
    x = torch.stack([make(classes)] * 3)
    check(x, torch.tensor([classes - 1, classes - classes // 8 - 1, classes - 1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [normal, falling, spread, masked])
@pytest.mark.parametrize("classes", [2, 16, 70, 2049, 50257])
def test_rows_of_two_bytes(classes: int, make: object, dtype: torch.dtype) -> None:
    """Value and gradient are what float64 makes of the same numbers, rounded once: to half a unit and 2^-17 more."""
    torch.manual_seed(0)
    assert callable(make)
    x = torch.stack([make(classes)] * 3).to(dtype).requires_grad_()
    target = torch.tensor([classes - 1, classes - classes // 8 - 1, classes - 1])
    value = cpp.load("cross_entropy")(x, target, reduction="none")
    (slope,) = torch.autograd.grad(value.sum(), x)
    wide = x.detach().double().requires_grad_()
    expected = functional.cross_entropy(wide, target, reduction="none")
    (expected_slope,) = torch.autograd.grad(expected.sum(), wide)
    number = torch.finfo(dtype)
    half, least = number.eps / 2 + 2**-17, number.tiny * number.eps * (0.5 + 2**-9)  # half the least step
    torch.testing.assert_close(value.double(), expected, rtol=half, atol=0)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=half, atol=least)


@pytest.mark.parametrize("classes", [1, 2, 5, 16, 70, 133])
def test_every_target(classes: int) -> None:
    """Each class in turn is the target: its own term is left out of the others', wherever it stands."""
    torch.manual_seed(0)
    check(normal(classes).repeat(classes, 1), torch.arange(classes))


@pytest.mark.parametrize("classes", [5003, 2**17 + 1])
def test_smoothing(classes: int) -> None:
    """Label smoothing takes the same sums; p - 0.1 / C cancels, to the error of p, that of x - max(x)."""
    torch.manual_seed(0)
    x = torch.stack([normal(classes), falling(classes)])
    check(x, torch.tensor([0, classes // 2]), atol=0.1 / classes * 2**-20, label_smoothing=0.1)


@pytest.mark.parametrize("classes", [70, 5003, 2**17 + 1])
@pytest.mark.parametrize("poison", [float("nan"), INFINITY])
def test_a_poisoned_row_spoils_no_other(classes: int, poison: float) -> None:
    """NaN or infinity makes its own row's loss and whole gradient NaN, as in torch, and leaves the next row alone."""
    torch.manual_seed(0)
    x = torch.stack([normal(classes), normal(classes)])
    x[0, classes // 2] = poison
    x.requires_grad_()
    value = cpp.load("cross_entropy")(x, torch.tensor([1, 1]), reduction="none")
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert value[0].isnan()
    assert slope[0].isnan().all()
    check(x.detach()[1:].clone(), torch.tensor([1]))
    torch.testing.assert_close(slope[1].sum(), torch.tensor(0.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("make", [normal, rising, masked])
def test_past_the_cache(make: object, dtype: torch.dtype) -> None:
    """A row has the same bits alone, where its gradient stays in the cache, and in a batch that goes past it."""
    torch.manual_seed(0)
    assert callable(make)
    rows, classes = 1100, 8195  # 17 MiB in two bytes
    x = make(classes).expand(rows, classes).to(dtype, copy=True).requires_grad_()
    target = torch.arange(classes - rows, classes)
    value = cpp.load("cross_entropy")(x, target, reduction="none")
    (slope,) = torch.autograd.grad(value.sum(), x)
    for row in (0, 1, 517, rows - 1):
        alone = x.detach()[row : row + 1].clone().requires_grad_()
        own = cpp.load("cross_entropy")(alone, target[row : row + 1], reduction="none")
        (expected,) = torch.autograd.grad(own.sum(), alone)
        assert torch.equal(own, value[row : row + 1])
        assert torch.equal(expected[0], slope[row])
