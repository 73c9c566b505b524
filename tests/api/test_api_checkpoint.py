"""Activation checkpointing: plain, and selective with any policy, gives the gradients of the plain call."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import lossimpl
from lossimpl.inputs import make
from lossimpl.spec import Case

POLICIES = list(CheckpointPolicy)


def alternating() -> Any:
    """A policy that saves every other operation."""
    count = iter(range(1 << 20))
    return lambda *_, **__: CheckpointPolicy.MUST_SAVE if next(count) % 2 else CheckpointPolicy.PREFER_RECOMPUTE


def gradient(name: str, implementation: str, **options: Any) -> Tensor:
    """The gradient by the loss's first tensor, through a checkpoint if there are options."""
    made = make(Case(name, (6, 5), "float32"))
    key = lossimpl.get(name).tensors[0]
    leaf = made[key].requires_grad_()

    def call(x: Tensor) -> Tensor:
        result: Tensor = getattr(lossimpl, name)(
            **made | {key: (x * 1.0).clamp(-9, 9)}, reduction="mean", implementation=implementation
        )
        return result

    value = checkpoint(call, leaf, use_reentrant=False, **options) if options else call(leaf)
    assert isinstance(value, Tensor)
    return torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("policy", [*POLICIES, None], ids=str)
@pytest.mark.parametrize("implementation", ["auto", "vectorized"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_selective_checkpoints(name: str, implementation: str, policy: CheckpointPolicy | None) -> None:
    """Every policy, and one that alternates (None); expected: bitwise the gradient without a checkpoint."""
    decide = alternating() if policy is None else lambda *_, **__: policy
    contexts = partial(create_selective_checkpoint_contexts, decide)
    got = gradient(name, implementation, context_fn=contexts)
    assert torch.equal(got, gradient(name, implementation))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The looks at values that checks have taken, in every module that takes some."""
    seen: list[Any] = []
    for module in ("_checks", "_classes"):
        monkeypatch.setattr(f"lossimpl.losses.{module}.invalid_value", lambda *a: seen.append(a))
    return seen


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_plain_checkpoints_check_once(name: str, looks: list[Any]) -> None:
    """Native's kernel checks the values itself: no other check looks at those of a valid call, checkpointed or not."""
    if lossimpl.get(name).available("cpu")["native"] is not None:
        pytest.skip("needs the native kernels")
    got = gradient(name, "native", preserve_rng_state=False)
    assert torch.equal(got, gradient(name, "native"))
    assert looks == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cross_entropy", 1), ("softmax_focal_loss", 1), ("binary_cross_entropy", 2), ("mse_loss", 0)],
)
def test_looks_at_values_are_counted(name: str, expected: int, looks: list[Any]) -> None:
    """The test above can fail: vectorized looks once at the labels, once each at input and target probabilities."""
    gradient(name, "vectorized")
    assert len(looks) == expected
