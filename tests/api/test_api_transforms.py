"""Transforms of torch.func and forward mode, on cases that broke once; the table under transforms: tests/agreement."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossimpl
from lossimpl.inputs import make
from lossimpl.kernels import cpp
from lossimpl.spec import Case

EAGER = [
    "vectorized",
    "naive",
    pytest.param("native", marks=pytest.mark.skipif(cpp.available() is not None, reason="")),
]


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss", "mse_loss", "log_cosh_loss"])
def test_nested_vmap_with_one_side_batched_once(name: str, implementation: str) -> None:
    """Inputs (2, 3, 4) against targets (2, 4), the inner vmap over inputs; expected: the loop."""
    x, y = torch.randn(2, 3, 4), torch.randn(2, 4)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(a, b, reduction="none", implementation=implementation)
        return result

    got = torch.vmap(torch.vmap(loss, (0, None)))(x, y)
    expected = torch.stack([torch.stack([loss(a, b) for a in rows]) for rows, b in zip(x, y, strict=True)])
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("implementation", EAGER)
def test_binary_cross_entropy_in_forward_mode(implementation: str) -> None:
    """The derivative of -log p is -1 / p: -4 at 1/4; and at p = 0 the contract's clamped slope -1 / 1e-12."""
    p, y = torch.tensor([[0.25, 0.0]]), torch.ones(1, 2)

    def loss(one: Tensor) -> Tensor:
        return lossimpl.binary_cross_entropy(one, y, reduction="none", implementation=implementation)

    _, tangent = torch.func.jvp(loss, (p,), (torch.ones(1, 2),))
    torch.testing.assert_close(tangent, torch.tensor([[-4.0, -1e12]]))


def test_compiled_refuses_tangents() -> None:
    """Compiled code would drop them silently: by dual numbers and by torch.func.jvp."""
    x, y = torch.randn(3), torch.zeros(3)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, y)
        with pytest.raises(lossimpl.Unavailable, match="forward-mode"):
            lossimpl.mse_loss(dual, y, implementation="compiled")
    with pytest.raises(lossimpl.Unavailable, match="forward-mode"):
        torch.func.jvp(lambda a: lossimpl.mse_loss(a, y, implementation="compiled"), (x,), (y,))


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_a_tangent_has_the_losss_type(name: str, implementation: str) -> None:
    """Float32 and the loss's shape; torch makes tangents of tensors without dimensions float64."""
    made = make(Case(name, (6, 5) if lossimpl.get(name).shapes.least_dimensions > 1 else (6,), "float32"))
    key = lossimpl.get(name).differentiable[0]

    def loss(one: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(**made | {key: one}, reduction="none", implementation=implementation)
        return result

    value, tangent = torch.func.jvp(loss, (made[key],), (torch.ones_like(made[key]),))
    assert (torch.float32, torch.float32, value.shape) == (value.dtype, tangent.dtype, tangent.shape)
