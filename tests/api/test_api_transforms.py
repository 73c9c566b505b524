"""Transforms of torch.func and forward mode, on cases that broke once; the table under transforms: tests/agreement."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

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
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_a_tangent_has_the_losss_type(name: str, batched: bool, reduction: str, implementation: str) -> None:
    """Float32 and the loss's shape; torch makes tangents of tensors without dimensions float64."""
    made = make(Case(name, (6, 5) if lossimpl.get(name).shapes.least_dimensions > 1 else (6,), "float32"))
    if not batched:
        made = {key: one[0] for key, one in made.items()}
    key = lossimpl.get(name).differentiable[0]

    def loss(one: Tensor) -> Tensor:
        given = made | {key: one}
        result: Tensor = getattr(lossimpl, name)(**given, reduction=reduction, implementation=implementation)
        return result

    value, tangent = torch.func.jvp(loss, (made[key],), (torch.ones_like(made[key]),))
    assert (torch.float32, torch.float32, value.shape) == (value.dtype, tangent.dtype, tangent.shape)


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_every_tangent_of_a_linearised_triplet_loss(p: float, implementation: str) -> None:
    """Three tangents through one linearisation; expected: the gradient's products. torch's norm loses the second."""
    tensors = list(make(Case("triplet_margin_loss", (6, 5))).values())

    def loss(anchor: Tensor) -> Tensor:
        return lossimpl.triplet_margin_loss(anchor, *tensors[1:], p=p, implementation=implementation)  # type: ignore[arg-type]  # names, parametrized

    gradient = torch.func.grad(loss)(tensors[0])
    _, pushed = torch.func.linearize(loss, tensors[0])
    for seed in range(3):
        tangent = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(pushed(tangent), (gradient * tangent).sum())


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_batched_gradients_and_jacobians(name: str, implementation: str) -> None:
    """`is_grads_batched`, jacrev, jacfwd and `torch.autograd.functional`; expected: one backward pass per element."""
    first, *others = make(Case(name, (3, 4))).values()
    leaf = first.clone().requires_grad_()

    def loss(one: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(one, *others, reduction="none", implementation=implementation)
        return result

    value = loss(leaf)
    rows = torch.eye(value.numel()).reshape(-1, *value.shape)
    one_by_one = torch.stack([torch.autograd.grad(value, leaf, row, retain_graph=True)[0] for row in rows])
    (batched,) = torch.autograd.grad(value, leaf, rows, is_grads_batched=True, retain_graph=True)
    torch.testing.assert_close(batched, one_by_one)
    jacobians = torch.func.jacrev(loss), torch.func.jacfwd(loss)
    for jacobian in (*jacobians, lambda one: torch.autograd.functional.jacobian(loss, one, vectorize=True)):
        torch.testing.assert_close(jacobian(first).reshape(one_by_one.shape), one_by_one)


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_nested_vmap_in_other_dimensions(name: str, implementation: str) -> None:
    """The first argument batched in the middle and at the end, the others once at the front; expected: the loop."""
    first, *others = make(Case(name, (4, 5))).values()
    grid = torch.stack([torch.stack([first, first * 0.5], -1), torch.stack([first * 0.25, first * 0.75], -1)], 1)
    twice = [torch.stack([one, one.flip(0)]) for one in others]

    def loss(one: Tensor, *rest: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(one, *rest, reduction="mean", implementation=implementation)
        return result

    inner = torch.vmap(loss, (-1, *(None for _ in others)))
    got = torch.vmap(inner, (1, *(0 for _ in others)))(grid, *twice)
    expected = [loss(grid[:, i, ..., j], *(one[i] for one in twice)) for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(got.flatten(), torch.stack(expected))


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_forward_mode_through_a_checkpoint(name: str, implementation: str) -> None:
    """The tangent of a checkpointed loss; expected: the gradient's product."""
    first, *others = make(Case(name, (6, 5))).values()
    tangent = torch.randn_like(first)

    def loss(one: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(one, *others, reduction="mean", implementation=implementation)
        return result

    expected = (torch.func.grad(loss)(first) * tangent).sum()
    with forward_ad.dual_level():
        dual = checkpoint(loss, forward_ad.make_dual(first, tangent), use_reentrant=False)
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, expected)


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_views_with_a_negative_bit(name: str, implementation: str) -> None:
    """Inputs and incoming gradients whose memory holds the negative, as an imaginary part of a conjugate does."""
    tensors = list(make(Case(name, (6, 5))).values())
    negated = [torch._neg_view(-one) if one.is_floating_point() else one for one in tensors]
    results = []
    for first, *others in (tensors, negated):
        leaf = first.detach().requires_grad_()
        value = getattr(lossimpl, name)(leaf, *others, reduction="none", implementation=implementation)
        incoming = torch.linspace(-1, 1, value.numel()).reshape(value.shape)
        incoming = torch._neg_view(-incoming) if first is negated[0] else incoming
        results.append([value.detach(), torch.autograd.grad(value, leaf, incoming)[0]])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("implementation", EAGER)
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mse_loss", {}, 2.0),
        ("huber_loss", {"delta": 0.5}, 1.0),
        ("huber_loss", {"delta": float("inf")}, 1.0),
        ("smooth_l1_loss", {"beta": 0.5}, 2.0),
        ("log_cosh_loss", {}, 1.0),
    ],
)
def test_curvature_where_nothing_differs(
    name: str, options: dict[str, float], expected: float, implementation: str
) -> None:
    """The second derivative at d = 0, by the formulas: 2, 1, 1, 1 / beta, 1. That of |d| |d| would be 0."""
    x = torch.tensor([0.0, 1.0])

    def loss(one: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(one, x, reduction="sum", implementation=implementation, **options)
        return result

    torch.testing.assert_close(torch.func.hessian(loss)(x), expected * torch.eye(2))
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    torch.testing.assert_close(torch.autograd.grad(first.sum(), leaf)[0], torch.full((2,), expected))


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss"])
@pytest.mark.parametrize("implementation", ["vectorized", "naive"])
def test_half_precision_slopes_are_summed_before_they_are_rounded(name: str, implementation: str) -> None:
    """Slopes of an input that broadcasts, +3e4 and -3e4 300 times each: 0 to rounding; parts overflow float16."""
    x, y = torch.ones(1, 1, dtype=torch.float16, requires_grad=True), torch.zeros(1, 600, dtype=torch.float16)
    y[:, :300] = 2.0
    value = getattr(lossimpl, name)(x, y, reduction="none", implementation=implementation)
    assert torch.autograd.grad(value, x, torch.full_like(value, 3e4))[0].abs() < 1


def test_a_mean_whose_sum_leaves_the_range() -> None:
    """Four losses of 1e38 add up beyond float32: native's plain mean is 1e38, a transformed one infinite as torch's."""
    x, y = torch.full((4,), 1e19), torch.zeros(4)
    plain = lossimpl.mse_loss(x, y, implementation="vectorized")
    transformed, _ = torch.func.vjp(lambda one: lossimpl.mse_loss(one, y, implementation="native"), x)
    assert plain == transformed == torch.nn.functional.mse_loss(x, y) == torch.inf
    torch.testing.assert_close(lossimpl.mse_loss(x, y, implementation="native"), torch.tensor(1e38))
