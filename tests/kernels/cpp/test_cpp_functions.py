"""Claims about the operators' schemas: one signature per loss, that of the public function."""

from __future__ import annotations

import inspect

import pytest
import torch

import lossimpl
from lossimpl import operators
from lossimpl.kernels import cpp
from lossimpl.kernels.cpp import functions

PUBLIC_ONLY = ("implementation", "size_average", "reduce")


@pytest.mark.parametrize("name", list(lossimpl.LOSSES))
def test_an_operator_has_the_arguments_and_defaults_of_the_public_function(name: str) -> None:
    """In order; softmax focal's `alpha` may be a tensor, for which the operator has an argument of its own.

    The public function alone has `implementation`, and what is deprecated for `reduction`.
    """
    cpp.load(name)
    arguments = getattr(torch.ops.lossimpl, name).default._schema.arguments
    found = {one.name: one.default_value if one.has_default_value() else inspect.Parameter.empty for one in arguments}
    public = inspect.signature(getattr(lossimpl, name)).parameters.values()
    expected = {one.name: one.default for one in public if one.name not in PUBLIC_ONLY}
    assert [one for one in found if one != "class_alpha"] == list(expected)
    assert found == expected | {key: None for key in found if key == "class_alpha"}


def test_every_loss_has_an_operator() -> None:
    """The table of functions holds the losses, no more and no less."""
    assert set(functions.FUNCTIONS) == set(operators.LOSSES) == set(lossimpl.LOSSES)
