"""Claims about the bf16 tables: a call that uses a table gives the same bits as one that computes.

Expected values are those of the same operator on pieces too small for a table; the conformance table checks those. All
65,536 values of bf16 are inputs, including NaN, infinities and subnormals.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossimpl.kernels import cpp

PIECE = 4096
OPTIONS = {
    "binary_cross_entropy": {},
    "binary_cross_entropy_with_logits": {},
    "sigmoid_focal_loss": {"alpha": 0.3, "gamma": 2.0},
}


def every_value(name: str) -> Tensor:
    """All bf16 values that a loss accepts, in random order: first those that a table covers, then all of them."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.bfloat16)
    if name == "binary_cross_entropy":
        every = every[(every >= 0) & (every <= 1)]
    most = 1 if name == "binary_cross_entropy" else 80
    usual = every[(every.abs() > 2**-20) & (every.abs() < most)]
    order = torch.Generator().manual_seed(5)
    often = [part[torch.randperm(len(part), generator=order)] for part in [usual] * (2**17 // len(usual)) + [every]]
    return torch.cat(often)[:-3]  # no whole vectors at the end


def labels(kind: str, count: int) -> Tensor:
    """Zeros and ones, values between, or long segments of either."""
    soft = torch.rand(count, generator=torch.Generator().manual_seed(6))
    hard = (soft > 0.5).float()
    mixed = torch.where(torch.arange(count) // 700 % 2 == 0, hard, soft)
    return {"hard": hard, "soft": soft, "mixed": mixed}[kind].bfloat16()


def loss_and_gradients(name: str, x: Tensor, y: Tensor, incoming: Tensor | None, **given: object) -> list[Tensor]:
    """Losses per element and both gradients; without an incoming gradient, the gradient of the sum."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_(incoming is not None and name != "sigmoid_focal_loss")
    reduction = "sum" if incoming is None else "none"
    value = cpp.load(name)(x, y, reduction=reduction, **OPTIONS[name], **given)
    value.backward(incoming)
    return [each for each in (None if incoming is None else value.detach(), x.grad, y.grad) if each is not None]


def in_pieces(name: str, x: Tensor, y: Tensor, incoming: Tensor | None, **given: Tensor) -> list[Tensor]:
    """The same, computed piece by piece."""
    cut = [None if one is None else one.split(PIECE) for one in (x, y, incoming, *given.values())]
    count = len(x.split(PIECE))
    pieces = zip(*([None] * count if one is None else one for one in cut), strict=True)
    parts = [
        loss_and_gradients(name, *piece[:3], **dict(zip(given, piece[3:], strict=True)))  # type: ignore[arg-type]
        for piece in pieces
    ]
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def assert_same_bits(ours: list[Tensor], expected: list[Tensor]) -> None:
    """Equal bits, including the sign of zero; all NaN are equal."""
    assert len(ours) == len(expected) > 0
    for one, other in zip(ours, expected, strict=True):
        same = (one.view(torch.int16) == other.view(torch.int16)) | (one.isnan() & other.isnan())
        assert same.all(), f"{(~same).sum()} of {same.numel()} differ, first at {(~same).nonzero()[0].item()}"


@pytest.mark.parametrize("kind", ["hard", "soft", "mixed"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("outputs", ["gradient", "losses and gradients"])
def test_a_table_gives_the_same_bits(name: str, kind: str, outputs: str) -> None:
    """For every value, kind of labels, and set of outputs."""
    x = every_value(name)
    y, incoming = labels(kind, len(x)), labels("soft", len(x)) if outputs == "losses and gradients" else None
    assert_same_bits(loss_and_gradients(name, x, y, incoming), in_pieces(name, x, y, incoming))


def test_weights_with_a_table() -> None:
    """Each element is multiplied by its own weight."""
    name = "binary_cross_entropy"
    x = every_value(name)
    y, weight = labels("mixed", len(x)), labels("soft", len(x))
    ours = loss_and_gradients(name, x, y, None, weight=weight)
    assert_same_bits(ours, in_pieces(name, x, y, None, weight=weight))


@pytest.mark.parametrize("name", OPTIONS)
def test_the_mean_of_many_elements_is_that_of_float32(name: str) -> None:
    """The mean over a million elements equals that of the same numbers in float32, rounded once."""
    x = torch.randn(2**20, generator=torch.Generator().manual_seed(7))
    x = (x.sigmoid() if name == "binary_cross_entropy" else x).bfloat16()
    y = labels("hard", len(x))
    expected = cpp.load(name)(x.float(), y.float(), reduction="mean", **OPTIONS[name])
    assert cpp.load(name)(x, y, reduction="mean", **OPTIONS[name]) == expected.bfloat16()
