"""Distances as numbers: units in the last place, relative errors, and which non-finite values are equal."""

from __future__ import annotations

import math

import pytest
import torch

from lossimpl.agreement.distance import distance, spacing

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("dtype", "number", "unit"),
    [  # IEEE 754: 2^(exponent - precision)
        (torch.float32, 1.0, 2.0**-23),
        (torch.float32, 1.999, 2.0**-23),
        (torch.float32, 2.0, 2.0**-22),
        (torch.float16, 1.0, 2.0**-10),
        (torch.float16, 1e-7, 2.0**-24),
        (torch.bfloat16, 256.0, 2.0),
        (torch.float64, 1.0, 2.0**-52),
    ],
)
def test_spacing_is_one_unit_in_the_last_place(dtype: torch.dtype, number: float, unit: float) -> None:
    """The unit follows from the exponent, and stops shrinking at the subnormal numbers."""
    assert float(spacing(torch.tensor([number], dtype=torch.float64), dtype)) == unit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_correctly_rounded_result_is_half_a_unit_away_at_most(dtype: torch.dtype) -> None:
    """Rounding once costs half a unit, over twelve orders of magnitude; the next number costs one more."""
    want = 10 ** torch.linspace(-8, 4, 999, dtype=torch.float64)
    got = want.to(dtype)
    assert distance(got, want).ulp <= 0.5
    further = (
        torch.nextafter(got, torch.full_like(got, INF))
        if dtype == torch.float32
        else got * (1 + torch.finfo(dtype).eps)
    )
    assert distance(further, want).ulp > 0.5


@pytest.mark.parametrize(
    ("got", "want", "far"),
    [
        (INF, INF, 0),
        (-INF, INF, INF),
        (NAN, NAN, 0),
        (NAN, 1.0, INF),
        (1.0, NAN, INF),
        (INF, 1.0, INF),
        (1.0, INF, INF),
    ],
)
def test_only_the_same_kind_of_non_finite_number_is_equal(got: float, want: float, far: float) -> None:
    """A NaN where the oracle has a number is infinitely wrong, and so is a number where it has a NaN."""
    found = distance(torch.tensor([got]), torch.tensor([want], dtype=torch.float64))
    assert (found.max_rel, found.ulp) == (far, far)


def test_what_half_precision_cannot_hold_is_expected_as_infinity() -> None:
    """1e5 is beyond float16: its infinity is right, its largest number is not."""
    want = torch.tensor([1e5], dtype=torch.float64)
    assert distance(torch.tensor([INF], dtype=torch.float16), want).max_rel == 0
    assert distance(torch.tensor([65504.0], dtype=torch.float16), want).max_rel > 0.3


def test_one_wrong_element_among_millions_is_named() -> None:
    """The worst element is found beyond the first chunk, and reported with its index."""
    want = torch.ones(3, 700_000, dtype=torch.float64)
    got = want.float()
    got[2, 699_999] = 1.5
    found = distance(got, want)
    assert found.max_rel == 0.5
    assert "[2, 699999]" in found.worst


def test_the_mean_cannot_be_diluted_by_a_floor() -> None:
    """A gradient that lacks its many tiny elements has the size of their sum as mean relative error."""
    want = torch.full((1000,), 1e-4, dtype=torch.float64)
    assert distance(torch.zeros(1000), want, floor=1.0).mean_rel == pytest.approx(1.0)
