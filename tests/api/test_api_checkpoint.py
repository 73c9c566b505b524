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


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_plain_checkpoints_check_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss's own check does not run on native's valid calls, checkpointed or not."""
    if lossimpl.get(name).available("cpu")["native"] is not None:
        pytest.skip("needs the native kernels")
    seen: list[Any] = []
    monkeypatch.setattr("lossimpl.losses._checks.invalid_value", lambda *a: seen.append(a))
    got = gradient(name, "native", preserve_rng_state=False)
    assert torch.equal(got, gradient(name, "native"))
    assert seen == []
