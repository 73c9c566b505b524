"""Claims about groups of elements: a special value is handled correctly at any position, as are its neighbours.

The kernels compute a group of 512 elements on a path without special cases, and again on the general path if it
contains any. Expected values are torch's in float64, of the same float32 inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lossimpl.kernels import cpp
from lossimpl.losses import sigmoid_focal_loss

SIZE = 5003  # nine groups, ten vectors and eleven elements
PLACES = (0, 17, 511, 512, 1000, 1536, 4607, 4608, SIZE - 12, SIZE - 11, SIZE - 1)
INFINITY, NAN = float("inf"), float("nan")


def logits() -> tuple[Tensor, Tensor]:
    """Logits and labels without special cases."""
    return 3 * torch.randn(SIZE), torch.rand(SIZE).round()


def probabilities() -> tuple[Tensor, Tensor]:
    """Probabilities well inside (0, 1), hard labels."""
    return torch.rand(SIZE).clamp(0.01, 0.99), torch.rand(SIZE).round()


def focal(x: Tensor, y: Tensor, reduction: str) -> Tensor:
    """The oracle's formula, in float64 and for finite logits."""
    return sigmoid_focal_loss.oracle(x, y, reduction=reduction)


CASES: dict[str, tuple[Callable[[], tuple[Tensor, Tensor]], Callable[..., Tensor], list[tuple[float, float]]]] = {
    "binary_cross_entropy_with_logits": (
        logits,
        functional.binary_cross_entropy_with_logits,
        [(100.0, 1.0), (-100.0, 0.0), (95.0, 0.0), (-88.0, 1.0), (2.0, 0.3), (1.0, 100.0), (-3e38, 0.0)],
    ),
    "sigmoid_focal_loss": (
        logits,
        focal,
        [(100.0, 1.0), (-100.0, 0.0), (95.0, 0.0), (-88.0, 1.0), (2.0, 0.3), (-1.0, 0.999)],
    ),
    "binary_cross_entropy": (
        probabilities,
        functional.binary_cross_entropy,
        [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1e-30, 1.0), (1 - 2.0**-24, 0.0), (0.3, 0.7), (1e-40, 0.5)],
    ),
}


def reference(loss: Callable[..., Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Values and gradient in float64."""
    wide = x.double().requires_grad_()
    values = loss(wide, y.double(), reduction="none")
    (slopes,) = torch.autograd.grad(values.sum(), wide)
    return values.detach(), slopes


@pytest.mark.parametrize(("name", "extreme"), [(name, one) for name, (_, _, all) in CASES.items() for one in all])
@pytest.mark.parametrize("places", [PLACES[:1], PLACES[-1:], PLACES])
def test_special_values(name: str, extreme: tuple[float, float], places: tuple[int, ...]) -> None:
    """Value and gradient of every element agree with float64, both of special values and of their groups."""
    torch.manual_seed(0)
    make, loss, _ = CASES[name]
    x, y = make()
    x[list(places)], y[list(places)] = extreme
    x.requires_grad_()
    values = cpp.load(name)(x, y, reduction="none")
    (slopes,) = torch.autograd.grad(values.sum(), x)
    expected, slope = reference(loss, x.detach(), y)
    torch.testing.assert_close(values.double(), expected, rtol=2e-6, atol=1e-37)
    torch.testing.assert_close(slopes.double(), slope, rtol=4e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["binary_cross_entropy_with_logits", "sigmoid_focal_loss"])
@pytest.mark.parametrize("value", [INFINITY, -INFINITY, NAN])
def test_infinite_and_nan_logits(name: str, value: float) -> None:
    """An infinite or NaN logit determines its own loss and does not affect the others."""
    torch.manual_seed(0)
    x, y = logits()
    native = cpp.load(name)
    before = native(x, y, reduction="none")
    y[700], x[700] = 1.0, value
    after = native(x, y, reduction="none")
    others = torch.arange(SIZE) != 700
    torch.testing.assert_close(after[others], before[others], rtol=2e-6, atol=0)
    assert after[700] == {INFINITY: 0.0, -INFINITY: INFINITY}.get(value) or (value != value and after[700].isnan())


@pytest.mark.parametrize(("p", "label"), [(NAN, 0.0), (0.5, NAN), (1.5, 0.0), (-0.1, 1.0), (0.5, 1.1), (0.5, -0.5)])
@pytest.mark.parametrize("place", [0, 700, SIZE - 1])
def test_values_that_are_not_probabilities_are_refused(p: float, label: float, place: int) -> None:
    """A probability or label outside [0, 1] is an error at any position, as in torch."""
    x, y = probabilities()
    x[place], y[place] = p, label
    with pytest.raises((RuntimeError, ValueError), match="between 0 and 1"):
        cpp.load("binary_cross_entropy")(x, y)
