"""`size_average` and `reduce`, deprecated in torch: at torch's positions, with torch's numbers and torch's warning."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lossimpl
from lossimpl.inputs import make
from lossimpl.spec import Case

TAKING = [
    name
    for name in lossimpl.LOSSES
    if hasattr(F, name) and "size_average" in inspect.signature(getattr(F, name)).parameters
]
FLAGS = [flags for flags in product([None, True, False], repeat=2) if flags != (None, None)]
MODULES = {
    "CrossEntropyLoss": "cross_entropy",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "L1Loss": "l1_loss",
    "MSELoss": "mse_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "TripletMarginLoss": "triplet_margin_loss",
}


def tensors_of(name: str) -> list[Tensor]:
    """Small valid tensors of a loss."""
    made = make(Case(name, (4, 5)))
    return [made[key] for key in lossimpl.get(name).tensors]


def positions(function: Any, flags: tuple[bool | None, bool | None]) -> list[Any]:
    """All options of torch's function by position: the flags, and every other default."""
    given = dict(zip(("size_average", "reduce"), flags, strict=True))
    parameters = inspect.signature(function).parameters
    return [given.get(key, one.default) for key, one in parameters.items() if one.default is not one.empty]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("name", TAKING)
def test_functions_take_them_as_torch_does(name: str, flags: tuple[bool | None, bool | None]) -> None:
    """By position and by name, in every implementation that compiles nothing; expected: torch's result and warning."""
    function, tensors = getattr(F, name), tensors_of(name)
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as torchs:
        expected = function(*tensors, *positions(function, flags))
    for implementation in ("auto", "vectorized", "torch"):
        with pytest.warns(UserWarning, match=str(torchs[0].message)):
            got = getattr(lossimpl, name)(*tensors, *positions(function, flags), implementation=implementation)
        torch.testing.assert_close(got, expected)
        with pytest.warns(UserWarning, match=str(torchs[0].message)):
            got = getattr(lossimpl, name)(
                *tensors, size_average=flags[0], reduce=flags[1], implementation=implementation
            )
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("name", MODULES)
def test_modules_take_them_as_torch_does(name: str, flags: tuple[bool | None, bool | None]) -> None:
    """By position in the constructor; expected: torch's reduction, warning and result."""
    theirs, tensors = getattr(torch.nn, name), tensors_of(MODULES[name])
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        expected = theirs(*positions(theirs, flags))
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        got = getattr(lossimpl.nn, name)(*positions(theirs, flags))
    assert got.reduction == expected.reduction
    torch.testing.assert_close(got(*tensors), expected(*tensors))


def test_no_warning_without_them(recwarn: pytest.WarningsRecorder) -> None:
    """None, their default, asks for nothing."""
    lossimpl.mse_loss(torch.ones(2), torch.ones(2), None, None, "sum", implementation="vectorized")
    assert not recwarn.list


@pytest.mark.parametrize("wrong", ["sum", -100, 2, torch.ones(2)], ids=str)
def test_what_is_no_flag_is_refused(wrong: Any) -> None:
    """torch takes mse_loss(x, y, "sum") for a mean: a word at this place is a reduction given by a wrong position."""
    with pytest.raises(TypeError, match=r"size_average must be True, False or None, got .*: give what follows by name"):
        lossimpl.mse_loss(torch.ones(2), torch.ones(2), wrong)
    with pytest.raises(TypeError, match="size_average must be True, False or None"):
        lossimpl.nn.MSELoss(wrong)


def test_a_compiler_needs_no_warning() -> None:
    """A full graph has no place for a warning; expected: the sum."""
    call = torch.compile(lambda a, b: lossimpl.mse_loss(a, b, False), fullgraph=True, backend="aot_eager")
    assert call(torch.ones(3), torch.zeros(3)).item() == 3
