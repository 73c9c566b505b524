"""The oracles against independent sources: mpmath at 50 digits, numerical differentiation, and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

import lossimpl

mp.dps = 50
POINTS = (-40.0, -3.5, -1.0, -0.25, -1e-9, 0.0, 1e-12, 0.125, 0.5, 1.0, 1.75, 12.0, 300.0)
TARGETS = (0.0, 0.25, 1.0)


def sigma(x: mpf) -> mpf:
    """The logistic function."""
    return 1 / (1 + mp.exp(-x))


def bce(p: mpf, y: mpf) -> mpf:
    """Cross entropy of a probability, its logs clamped at -100."""
    log_p = mp.log(p) if p > 0 else mpf("-inf")
    log_q = mp.log1p(-p) if p < 1 else mpf("-inf")
    return -(y * max(log_p, mpf(-100)) + (1 - y) * max(log_q, mpf(-100)))


def bcel(x: mpf, y: mpf) -> mpf:
    """Cross entropy of a logit."""
    return y * mp.log1p(mp.exp(-x)) + (1 - y) * mp.log1p(mp.exp(x))


def focal(x: mpf, y: mpf) -> mpf:
    """Lin et al. 2017 with alpha 0.25 and gamma 2, targets between 0 and 1 as torchvision mixes them."""
    wrong = y * (1 - sigma(x)) + (1 - y) * sigma(x)
    return (mpf("0.25") * y + mpf("0.75") * (1 - y)) * wrong**2 * bcel(x, y)


def smooth(d: mpf) -> mpf:
    """Girshick 2015 with beta 1."""
    return d**2 / 2 if abs(d) < 1 else abs(d) - mpf("0.5")


ELEMENTWISE: dict[str, Callable[[mpf, mpf], mpf]] = {
    "binary_cross_entropy_with_logits": bcel,
    "sigmoid_focal_loss": focal,
    "l1_loss": lambda x, y: abs(x - y),
    "mse_loss": lambda x, y: (x - y) ** 2,
    "smooth_l1_loss": lambda x, y: smooth(x - y),
    "huber_loss": lambda x, y: smooth(x - y),
    "log_cosh_loss": lambda x, y: mp.log(mp.cosh(x - y)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("y", TARGETS)
def test_elementwise_oracles_equal_mpmath(name: str, y: float) -> None:
    """Fourteen digits of every value, in the tails too."""
    for x in POINTS:
        got = lossimpl.get(name).oracle(
            torch.tensor([x], dtype=torch.float64), torch.tensor([y], dtype=torch.float64), reduction="sum"
        )
        want = ELEMENTWISE[name](mpf(x), mpf(y))
        assert abs(mpf(got.item()) - want) <= mpf("1e-14") * abs(want), (x, y, got.item(), mp.nstr(want, 20))


@pytest.mark.parametrize("y", TARGETS)
@pytest.mark.parametrize("p", [0.0, 1e-60, 1e-12, 0.125, 0.5, 0.999, 1 - 2**-50, 1.0])
def test_the_oracle_of_probabilities_equals_mpmath(p: float, y: float) -> None:
    """The clamps at -100 included."""
    got = lossimpl.get("binary_cross_entropy").oracle(
        torch.tensor([p], dtype=torch.float64), torch.tensor([y], dtype=torch.float64)
    )
    assert abs(mpf(got.item()) - bce(mpf(p), mpf(y))) <= mpf("1e-14") * bce(mpf(p), mpf(y))


ROWS = ([0.5, -1.0, 2.0], [30.0, 0.0, -5.0], [-700.0, 0.0, 1.0], [1e4, 1e4, 1e4 + 1], [0.0, 0.0, 0.0])


def surprise(row: list[float], label: int) -> mpf:
    """-log softmax(row)[label]."""
    return mp.log(sum(mp.exp(mpf(x) - mpf(row[label])) for x in row))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_oracles_over_classes_equal_mpmath(row: list[float], label: int) -> None:
    """Plain, smoothed by a fifth, as probabilities, and focal with gamma 2."""
    input, target = torch.tensor([row], dtype=torch.float64), torch.tensor([label])
    plain, every = surprise(row, label), [surprise(row, one) for one in range(3)]
    onehot = torch.nn.functional.one_hot(target, 3).double()
    cross, focus = lossimpl.get("cross_entropy").oracle, lossimpl.get("softmax_focal_loss").oracle
    for got, want in (
        (cross(input, target), plain),
        (cross(input, onehot), plain),
        (cross(input, target, label_smoothing=0.2), mpf("0.8") * plain + mpf("0.2") / 3 * sum(every)),
        (focus(input, target), (1 - mp.exp(-plain)) ** 2 * plain),
    ):
        assert abs(mpf(got.item()) - want) <= mpf("1e-13") * abs(want), (got.item(), mp.nstr(want, 20))


@pytest.mark.parametrize("row", [*ROWS, [60.0, 0.0, 59.0], [700.0, 0.0, 1.0]])
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_slopes_over_classes_equal_mpmath(row: list[float], label: int, smoothing: float) -> None:
    """p − 1 of a class that is certain too, the sum of the other probabilities: never a difference."""
    sizes = [mp.exp(mpf(x) - mpf(max(row))) for x in row]
    input = torch.tensor([row], dtype=torch.float64, requires_grad=True)
    value = lossimpl.get("cross_entropy").oracle(input, torch.tensor([label]), label_smoothing=smoothing)
    for c, got in enumerate(torch.autograd.grad(value, input)[0][0].tolist()):
        others = sum(size for k, size in enumerate(sizes) if k != c) / sum(sizes)
        plain = -others if c == label else sizes[c] / sum(sizes)
        want = (1 - mpf(smoothing)) * plain + mpf(smoothing) * (sizes[c] / sum(sizes) - mpf(1) / 3)
        assert abs(mpf(got) - want) <= mpf("1e-14") * max(abs(want), mpf("1e-300")), (c, got, mp.nstr(want, 20))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_slopes_of_the_focal_loss_over_classes_equal_mpmath(row: list[float], label: int, gamma: float) -> None:
    """(1 − p)^γ of a class that is nearly certain, differentiated by mpmath from the definition."""

    def loss(c: int, x: mpf) -> mpf:
        sizes = [mp.exp((x if k == c else mpf(one)) - mpf(max(row))) for k, one in enumerate(row)]
        others = sum(size for k, size in enumerate(sizes) if k != label) / sum(sizes)
        return -(others ** mpf(gamma)) * mp.log(sizes[label] / sum(sizes))

    input = torch.tensor([row], dtype=torch.float64, requires_grad=True)
    value = lossimpl.get("softmax_focal_loss").oracle(input, torch.tensor([label]), gamma=gamma)
    for c, got in enumerate(torch.autograd.grad(value, input)[0][0].tolist()):
        want = mp.diff(lambda x, c=c: loss(c, x), mpf(row[c]))
        assert abs(mpf(got) - want) <= mpf("1e-13") * max(abs(want), mpf("1e-20")), (c, got, mp.nstr(want, 20))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("y", TARGETS)
def test_elementwise_slopes_equal_mpmath(name: str, y: float) -> None:
    """The slope by x, differentiated by mpmath from the definition, in the tails too."""
    for x in POINTS:
        if x - y in (-1.0, 0.0, 1.0):
            continue  # corners: the contract, not the definition, says which slope
        input = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        value = lossimpl.get(name).oracle(input, torch.tensor([y], dtype=torch.float64), reduction="sum")
        got = torch.autograd.grad(value, input)[0].item()
        want = mp.diff(lambda point: ELEMENTWISE[name](point, mpf(y)), mpf(x))
        assert abs(mpf(got) - want) <= mpf("1e-13") * max(abs(want), mpf("1e-30")), (x, y, got, mp.nstr(want, 20))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("swap", [False, True])
def test_the_triplet_oracle_equals_mpmath(p: float, swap: bool) -> None:
    """Distances by their definition, eps inside."""
    a, b, c = [0.5, -1.0, 2.0], [0.25, 1.0, -2.0], [1.0, -0.5, 2.5]

    def apart(u: list[float], v: list[float]) -> mpf:
        return sum(abs(mpf(x) - mpf(y) + mpf(1e-6)) ** mpf(p) for x, y in zip(u, v, strict=True)) ** (1 / mpf(p))

    far = min(apart(a, c), apart(b, c)) if swap else apart(a, c)
    want = max(1 + apart(a, b) - far, mpf(0))
    tensors = [torch.tensor([one], dtype=torch.float64) for one in (a, b, c)]
    got = lossimpl.get("triplet_margin_loss").oracle(*tensors, p=p, swap=swap)
    assert abs(mpf(got.item()) - want) <= mpf("1e-14") * want


def smooth_inputs(name: str) -> tuple[Tensor, ...]:
    """A few inputs in float64, away from every corner of the loss."""
    generator = torch.Generator().manual_seed(5)
    loss = lossimpl.get(name)
    tensors = loss.makers["normal"]((3, 4), torch.float64, "cpu", generator)
    if name == "binary_cross_entropy":
        return tensors[0].clamp(0.1, 0.9), tensors[1]
    return tensors


@pytest.mark.parametrize("name", lossimpl.LOSSES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_oracles_first_and_second_derivatives_are_the_numerical_ones(name: str, reduction: str) -> None:
    """torch.autograd.gradcheck and gradgradcheck at points away from the corners."""
    loss = lossimpl.get(name)
    tensors = smooth_inputs(name)
    wanted = [
        one.detach().requires_grad_(field in loss.differentiable)
        for field, one in zip(loss.tensors, tensors, strict=True)
    ]

    def call(*arguments: Any) -> Tensor:
        result: Tensor = loss.oracle(*arguments, reduction=reduction)
        return result

    assert torch.autograd.gradcheck(call, wanted)
    assert torch.autograd.gradgradcheck(call, wanted, atol=1e-4)


@pytest.mark.parametrize("p", [0.25, 0.5, 0.75])
def test_triplet_of_small_exponents_near_the_largest_number(p: float) -> None:
    """Of 2.5 times |a − 0| − |a − (1, 1)| at a = (m, 0), the second slope is 2.5 (m^p + 1)^(1/p − 1)."""
    largest = 1.5e308
    anchor = torch.tensor([[largest, 0.0]], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, 2, dtype=torch.float64)
    loss = lossimpl.get("triplet_margin_loss").oracle(anchor, zero, zero + 1, p=p, eps=0.0, reduction="sum")
    (grad,) = torch.autograd.grad(loss, anchor, torch.tensor(2.5, dtype=torch.float64))
    assert grad[0, 1].item() == pytest.approx(2.5 * (largest**p + 1) ** (1 / p - 1), rel=1e-12)


def test_slope_in_the_target_where_the_sigmoid_is_flat() -> None:
    """The focal oracle at x = -1752: the loss is 1752 t^3, with gamma 2 and without alpha; its slope 5256 t^2."""
    x, t = torch.tensor(-1752.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    loss = lossimpl.get("sigmoid_focal_loss").oracle(x, t, alpha=-1.0, gamma=2.0)
    assert torch.autograd.grad(loss, t)[0] == 1314.0
