"""The checks can fail: every mutant of every loss is refused, and a correct function is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lossimpl
from lossimpl.conformance.mutants import Mutant, detect, mutants

QUICK = "reports before the device has finished"  # a large call: for one loss by default, for all when slow


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_every_mutant_is_caught(name: str) -> None:
    """By agreement, by a case of the table, or by the clock."""
    loss = lossimpl.get(name)
    found = [detect(loss, mutant) for mutant in mutants(loss) if mutant.name != QUICK]
    assert [one.mutant for one in found if not one.by] == []
    assert len(found) >= 7


@pytest.mark.parametrize(
    "name",
    [one if one == "mse_loss" else pytest.param(one, marks=pytest.mark.slow) for one in lossimpl.LOSSES],
)
def test_a_result_handed_out_too_early_is_caught_by_the_clock(name: str) -> None:
    """Its numbers are right when read, but its time is beyond the memory bandwidth."""
    loss = lossimpl.get(name)
    (mutant,) = [one for one in mutants(loss) if one.name == QUICK]
    assert detect(loss, mutant).by == "clock"


def test_the_published_table_is_complete_and_without_survivors() -> None:
    """docs/mutants.jsonl, written by `lossimpl check --mutants --json`, holds today's mutants."""
    lines = (Path(__file__).parents[2] / "docs" / "mutants.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    today = [(name, mutant.name) for name, loss in lossimpl.LOSSES.items() for mutant in mutants(loss)]
    assert [(one["loss"], one["mutant"]) for one in found] == today
    assert all(one["by"] for one in found)


def test_the_good_function_survives_agreement_and_conformance() -> None:
    """The checks refuse mutants, not everything."""
    from lossimpl.conformance import mutants as module

    loss = lossimpl.get("log_cosh_loss")
    good = Mutant("none", lambda _, function: function).make(loss, loss.implementations["vectorized"].load("cpu"))
    for dtype in ("float32", "bfloat16", "float16"):
        assert module._by_agreement(loss, good, dtype) == ""
        assert module._by_conformance(loss, good, dtype) == ""
