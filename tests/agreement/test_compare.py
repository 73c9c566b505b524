"""The verdict: good implementations agree on every maker, each kind of wrong one is refused with its worst element."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lossimpl
from lossimpl.agreement import TOLERANCES, compare
from lossimpl.agreement.compare import LIMIT
from lossimpl.agreement.tolerances import CONTRACT
from lossimpl.spec import DTYPES, Case

SHAPE = (24, 40)


@pytest.mark.parametrize("name", lossimpl.LOSSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_our_tensor_expressions_agree_on_every_maker(name: str, dtype: str) -> None:
    """Heavy tails, confident predictions and extreme numbers too, in every precision and reduction."""
    loss = lossimpl.get(name)
    for maker in loss.makers:
        for reduction in ("mean", "none"):
            case = Case(name, SHAPE, dtype, options=(("reduction", reduction),), maker=maker)
            agreement = compare(loss, loss.implementations["vectorized"].load("cpu"), case)
            assert agreement.verdict == "ok", (case.key, agreement.reason)


@pytest.mark.parametrize("name", lossimpl.LOSSES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("implementation", ["vectorized", "native"])
def test_ours_round_half_precision_once(name: str, dtype: str, implementation: str) -> None:
    """Half a unit in the last place and what float32 costs: the contract, on every maker."""
    loss, limit = lossimpl.get(name), CONTRACT[dtype]
    if loss.available("cpu")[implementation] is not None:
        pytest.skip(f"{implementation}: {loss.available('cpu')[implementation]}")
    for maker in loss.makers:
        for reduction in ("mean", "none"):
            case = Case(name, SHAPE, dtype, options=(("reduction", reduction),), maker=maker)
            agreement = compare(loss, loss.implementations[implementation].load("cpu"), case)
            assert agreement.value_max_rel <= limit.value_max, (case.key, agreement)
            assert agreement.grad_max_rel is not None
            assert agreement.grad_max_rel <= limit.grad_max, (case.key, agreement)


@pytest.mark.parametrize("name", [name for name, loss in lossimpl.LOSSES.items() if "torch" in loss.implementations])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_framework_agrees_on_normal_inputs(name: str, dtype: str) -> None:
    """The tolerances admit how the framework computes: it can be ranked."""
    loss = lossimpl.get(name)
    agreement = compare(loss, loss.implementations["torch"].load("cpu"), Case(name, SHAPE, dtype))
    assert agreement.verdict == "ok", agreement.reason


@pytest.mark.parametrize("scale", [1 + 1e-3, 0.999, float("nan")])
def test_a_gradient_off_by_a_thousandth_is_wrong(scale: float) -> None:
    """The value is right, the gradient is not, and the reason names an element of it."""

    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * scale

    loss = lossimpl.get("mse_loss")
    agreement = compare(loss, lambda **kw: Off.apply(torch.nn.functional.mse_loss(**kw)), Case("mse_loss", SHAPE))
    assert agreement.verdict == "wrong"
    assert agreement.value_ulp < 4
    assert "gradient of input" in agreement.reason
    assert "element [" in agreement.reason


def test_another_shape_or_no_gradient_is_wrong() -> None:
    """A value of another shape and a value without history are verdicts, not exceptions."""
    loss, case = lossimpl.get("mse_loss"), Case("mse_loss", SHAPE)
    assert "shape" in compare(loss, lambda input, target: (input - target) ** 2, case).reason
    detached = compare(loss, lambda input, target: ((input - target) ** 2).mean().detach(), case)
    assert "gradient of input" in detached.reason


def test_a_forward_case_asks_for_no_gradient() -> None:
    """Forward mode accepts a function without one, and reports none."""
    case = Case("mse_loss", SHAPE, mode="forward")
    agreement = compare(lossimpl.get("mse_loss"), lambda input, target: (input.detach() - target).square().mean(), case)
    assert (agreement.verdict, agreement.grad_max_rel) == ("ok", None)


def test_a_cache_filled_before_the_check_is_found() -> None:
    """A result kept by shape from a call with the very inputs of the case is still seen to be stale."""
    kept: dict[torch.Size, Tensor] = {}

    def cached(input: Tensor, target: Tensor) -> Tensor:
        first = kept.setdefault(input.shape, input.detach().clone())
        return torch.nn.functional.mse_loss(first + (input - input.detach()), target.detach() * 0)

    from lossimpl.inputs import make

    case = Case("mse_loss", SHAPE)
    cached(**make(case))
    assert compare(lossimpl.get("mse_loss"), cached, case).verdict == "wrong"


def test_a_large_case_is_checked_on_fewer_rows_and_says_so() -> None:
    """The check costs seconds whatever the case."""
    case = Case("l1_loss", (2 * LIMIT // 1024, 1024))
    agreement = compare(lossimpl.get("l1_loss"), torch.nn.functional.l1_loss, case)
    assert (agreement.verdict, agreement.reason) == ("ok", f"(checked at {LIMIT // 1024}x1024)")


def test_there_is_a_tolerance_for_every_dtype() -> None:
    """One table, complete."""
    assert set(TOLERANCES) == set(DTYPES)
