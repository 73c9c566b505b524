"""docs/differences.md says where lossimpl differs from torch, and nothing that is not so."""

from __future__ import annotations

import pytest
import torch
from differences import DIFFERENCES, PAGE, ours, page, torchs

import lossimpl

CALLS = [one.call for differences in DIFFERENCES.values() for one in differences]


@pytest.mark.parametrize("call", CALLS)
def test_the_difference_is_there_in_every_implementation(call: str) -> None:
    """All of ours agree to four digits, and torch's result is another."""
    served = [
        one for one in ("native", "vectorized", "naive") if lossimpl.get("mse_loss").available("cpu")[one] is None
    ]
    results = {implementation: ours(call, implementation) for implementation in served}
    if "changed_in_place" in call:
        results = {"native": results["native"]}  # torch saves copies for the tensor forms
    assert set(results.values()) == {ours(call)}
    assert torchs(call) != ours(call)


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the page shows torch 2.13")
def test_the_page_is_current() -> None:
    """`python tests/conformance/differences.py` writes it."""
    assert PAGE.read_text() == page()
