"""The determinism audit detects each kind of difference, and finds none in our fused kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossimpl
from lossimpl.conformance.determinism import audit


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_native_is_bitwise_the_same_under_all_circumstances(name: str) -> None:
    """Repeated, on 1 and 2 threads, and for rows alone and within a batch."""
    loss = lossimpl.get(name)
    reason = loss.available("cpu")["native"]
    if reason is not None:
        pytest.skip(f"native: {reason}")
    found = audit(loss, loss.implementations["native"].load("cpu"))
    assert (found.repeated, found.threads, found.batch) == (True, True, True)


def test_each_kind_of_difference_is_detected() -> None:
    """One function that counts its calls, one that reads the thread count, one that reads the batch size."""
    calls = 0

    def counting(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.nn.functional.mse_loss(input, target, reduction=reduction) + calls

    def threading(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        return torch.nn.functional.mse_loss(input, target, reduction=reduction) * torch.get_num_threads()

    def crowded(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        return torch.nn.functional.mse_loss(input, target, reduction=reduction) * len(input)

    loss = lossimpl.get("mse_loss")
    assert not audit(loss, counting).repeated
    assert not audit(loss, threading).threads
    assert not audit(loss, crowded).batch
