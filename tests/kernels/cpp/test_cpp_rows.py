"""Claims about rows of classes: value and gradient are correct for any row length and any order of the logits.

A row is summed in blocks of 2048 relative to a reference that moves up if a block exceeds it; its terms are stored for
the gradient up to 2^17 classes, and computed four vectors at a time. Terms below e^-61, and rows with a reference
beyond 100,000, take another path. Expected values are torch's in float64, of the same inputs.
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
    """Every block exceeds the previous one so far that the reference moves."""
    return torch.linspace(-60, 60, classes) * max(1, classes / 5003)


def cliff(classes: int) -> Tensor:
    """Only the last class contributes."""
    return torch.cat([torch.full((classes - 1,), -300.0), torch.tensor([300.0])])


def masked(classes: int) -> Tensor:
    """-inf for the first three quarters, and one very small last logit."""
    x = torch.randn(classes)
    x[: 3 * classes // 4] = -INFINITY
    x[-1] = -1000.0
    return x


def normal(classes: int) -> Tensor:
    """Logits as a network computes them."""
    return 3 * torch.randn(classes)


def spread(classes: int) -> Tensor:
    """Adjacent terms that range from 1 to below the smallest float."""
    return 20 * torch.randn(classes)


def high(classes: int) -> Tensor:
    """References just within the range of the fast path."""
    return normal(classes) + 99_990


def beyond(classes: int) -> Tensor:
    """References outside that range."""
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
    """Value and gradient, with targets at different positions of rows that are not aligned."""
    torch.manual_seed(0)
    assert callable(make)
    x = torch.stack([make(classes)] * 3)
    check(x, torch.tensor([classes - 1, classes - classes // 8 - 1, classes - 1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [normal, falling, spread, masked])
@pytest.mark.parametrize("classes", [2, 16, 70, 2049, 50257])
def test_rows_of_half_precision(classes: int, make: object, dtype: torch.dtype) -> None:
    """Value and gradient are the float64 results rounded once: to half a unit in the last place plus 2^-17."""
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
    """Each class in turn is the target, whose term is excluded from the sum over the others at any position."""
    torch.manual_seed(0)
    check(normal(classes).repeat(classes, 1), torch.arange(classes))


@pytest.mark.parametrize("classes", [5003, 2**17 + 1])
def test_smoothing(classes: int) -> None:
    """Value and gradient with label smoothing; the gradient p - 0.1 / C cancels, so its error is that of p."""
    torch.manual_seed(0)
    x = torch.stack([normal(classes), falling(classes)])
    check(x, torch.tensor([0, classes // 2]), atol=0.1 / classes * 2**-20, label_smoothing=0.1)


@pytest.mark.parametrize("classes", [70, 5003, 2**17 + 1])
@pytest.mark.parametrize("poison", [float("nan"), INFINITY])
def test_a_row_with_nan_does_not_affect_others(classes: int, poison: float) -> None:
    """NaN or infinity makes the loss and gradient of its row NaN, as in torch, and leaves the next row alone."""
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
def test_streamed_gradients_have_the_same_bits(make: object, dtype: torch.dtype) -> None:
    """A row has the same bits alone, with cached stores, and in a batch large enough for non-temporal stores."""
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
