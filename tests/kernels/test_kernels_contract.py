"""Claims about refusals: the loss's check explains a kernel's own error; any other exception passes untouched."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import checkpoint
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

import lossimpl
from lossimpl.inputs import make
from lossimpl.kernels import contract, cpp
from lossimpl.losses import mse_loss
from lossimpl.spec import Case, Unavailable

NAMES = list(lossimpl.LOSSES)
X, Y = torch.zeros(2, 3), torch.zeros(2, 3)


def saves(*operators: str) -> Callable[..., CheckpointPolicy]:
    """A policy that saves the results of these operators and recomputes the others."""

    def policy(context: object, operator: object, *args: Any, **kwargs: Any) -> CheckpointPolicy:
        saved = any(name in str(operator) for name in operators)
        return CheckpointPolicy.MUST_SAVE if saved else CheckpointPolicy.PREFER_RECOMPUTE

    return policy


POLICIES = {
    "recompute all": saves(),
    "save all": saves(""),
    "save products": saves("mul"),
    "save ours": saves("lossimpl"),
}


def gradients(name: str, implementation: str, **checkpointed: Any) -> list[Tensor]:
    """The loss and its gradients, in a checkpoint region if options for one are given."""
    arguments = make(Case(name, (4, 5), options=(("reduction", "mean"),)))
    names = lossimpl.get(name).differentiable
    leaves = [arguments.pop(one).requires_grad_() for one in names]

    def region(*inside: Tensor) -> Tensor:
        given = arguments | {key: one * 1 for key, one in zip(names, inside, strict=True)}
        result: Tensor = getattr(lossimpl, name)(**given, implementation=implementation)
        return result

    if checkpointed:
        loss = checkpoint.checkpoint(region, *leaves, use_reentrant=False, **checkpointed)
    else:
        loss = region(*leaves)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("implementation", ["auto", "native"])
@pytest.mark.parametrize("name", NAMES)
def test_selective_checkpoints_give_the_bits_of_the_plain_call(name: str, implementation: str, policy: str) -> None:
    """Recomputation is stopped by an exception, during which a check of values would run operators never recorded."""
    contexts = functools.partial(create_selective_checkpoint_contexts, POLICIES[policy])
    found = gradients(name, implementation, context_fn=contexts)
    for one, expected in zip(found, gradients(name, implementation), strict=True):
        assert torch.equal(one, expected)


def forbidden(*args: Any, **kwargs: Any) -> None:
    """A check that must not be called."""
    raise AssertionError("the check was called")


def test_a_checkpoint_does_not_check_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the first computation of a valid call nor its recomputation calls the check."""
    monkeypatch.setattr(mse_loss, "check", forbidden)
    cpp.load("mse_loss")
    native = contract.checked(torch.ops.lossimpl.mse_loss.default, "mse_loss")
    x = torch.ones(3, requires_grad=True)
    checkpoint.checkpoint(lambda one: native(one * 2, torch.zeros(3)), x, use_reentrant=False).backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([8 / 3] * 3)  # d/dx mean((2 x)^2) = 8 x / 3


class Stopped(Exception):
    """Stands for an exception that steers torch."""


@pytest.mark.parametrize(
    "error",
    [
        Stopped("stop"),
        RuntimeError("aten.lt.Scalar encountered during backward but not found in storage"),
        torch._subclasses.fake_tensor.DataDependentOutputException(torch.ops.aten._local_scalar_dense.default),
        KeyError("x"),
    ],
)
def test_other_exceptions_pass_untouched(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very object is raised, and the check is not called."""
    monkeypatch.setattr(mse_loss, "check", forbidden)

    def kernel(*args: Tensor) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        contract.checked(kernel, "mse_loss")(X, Y)
    assert caught.value is error


REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("mse_loss", (X, Y), {"reduction": "average"}),
    ("mse_loss", (X, Y), {"reduction": None}),
    ("mse_loss", (X, torch.zeros(4)), {}),
    ("mse_loss", (X, "zero"), {}),
    ("mse_loss", (X,), {"target": X, "weight": "one"}),
    ("smooth_l1_loss", (X, Y), {"beta": -1.0}),
    ("cross_entropy", (X, torch.tensor([0, 3])), {}),
    ("cross_entropy", (X, torch.tensor([0, 1]).int()), {}),
    ("binary_cross_entropy", (X + 2, Y), {}),
    ("triplet_margin_loss", (X, Y, Y), {"margin": -1.0}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_a_refusal_is_explained_by_the_check(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The native function raises exactly what the loss's check raises: type and message."""
    with pytest.raises(Exception) as expected:  # noqa: PT011  # its type is what the test reads off the check
        lossimpl.get(name).check(*args, **kwargs)
    with pytest.raises(expected.type) as found:
        cpp.load(name)(*args, **kwargs)
    assert str(found.value) == str(expected.value)


def test_a_refusal_inside_a_dispatch_mode_is_explained_too() -> None:
    """The error crosses Python there, and keeps its mark: out-of-range targets under selective checkpointing."""
    contexts = functools.partial(create_selective_checkpoint_contexts, saves())
    x = torch.zeros(2, 3, requires_grad=True)
    with pytest.raises(IndexError, match=r"target must lie in 0\.\.2"):
        checkpoint.checkpoint(
            lambda one: lossimpl.cross_entropy(one, torch.tensor([0, 3])), x, use_reentrant=False, context_fn=contexts
        )


def test_what_the_check_accepts_and_the_kernel_refuses_is_unavailable() -> None:
    """Complex numbers are valid for L1; the message names the loss and the dtype."""
    with pytest.raises(Unavailable, match=r"native of l1_loss does not serve these arguments: .*ComplexFloat"):
        cpp.load("l1_loss")(torch.zeros(2, dtype=torch.complex64), torch.zeros(2))


def test_auto_falls_back_where_the_kernel_is_unavailable() -> None:
    """|3 + 4i| = 5."""
    x = torch.tensor([3 + 4j])
    assert lossimpl.l1_loss(x, torch.zeros(1)).item() == 5
