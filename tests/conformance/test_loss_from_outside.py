"""A loss over classes that is registered from outside is treated right everywhere, by its `shapes` alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import lossimpl
from lossimpl import registry
from lossimpl.agreement import compare
from lossimpl.agreement.cases import checks
from lossimpl.agreement.compare import incoming
from lossimpl.cli import assemble
from lossimpl.conformance.determinism import audit
from lossimpl.conformance.mutants import detect, mutants
from lossimpl.conformance.run import answer, jobs
from lossimpl.inputs import make
from lossimpl.losses import cross_entropy
from lossimpl.losses._classes import class_traffic
from lossimpl.spec import Case, Implementation, Loss

NAME = "brier_loss"


def brier(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Brier (1950): the squared distance of softmax from the one-hot target, averaged over rows."""
    wide = input if input.dtype == torch.float64 else input.float()
    one_hot = torch.nn.functional.one_hot(target, input.shape[1]).to(wide.dtype)
    distance = (wide.softmax(-1) - one_hot).square()
    loss = (distance if weight is None else distance * weight).sum(-1)
    return (loss if reduction == "none" else getattr(loss, reduction)()).to(input.dtype)


def check(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> None:
    """Raise for an unknown reduction."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")


@pytest.fixture
def loss() -> Iterator[Loss]:
    """The loss, registered for one test."""
    made = Loss(
        name=NAME,
        formula="ℓ(x, y) = ‖softmax(x) − e_y‖²",
        reference="Brier, Verification of Forecasts Expressed in Terms of Probability, 1950",
        tensors=("input", "target"),
        differentiable=("input",),
        makers=cross_entropy.LOSS.makers,
        oracle=brier,
        check=check,
        traffic=class_traffic,
        shapes=lossimpl.OVER_CLASSES,
        implementations={"vectorized": Implementation("vectorized", registry.always(brier))},
    )
    lossimpl.register_loss(made)
    yield made
    registry._LOSSES.pop(NAME)


def test_a_random_weight_has_one_factor_per_class(loss: Loss) -> None:
    """(7, 5) logits: five weights, where an elementwise loss has 35."""
    assert make(Case(NAME, (7, 5), options=(("weight", "random"),)))["weight"].shape == (5,)


def test_the_incoming_gradient_counts_rows(loss: Loss) -> None:
    """A mean over 7 rows gets the power of two below 7 and the unit 4/7; counted by elements it would be 32/35."""
    assert incoming(loss, Case(NAME, (7, 5)), torch.zeros(()))[1] == 4 / 7


def test_it_agrees_and_a_mean_over_elements_does_not(loss: Loss) -> None:
    """The tolerances see a mean that divides by elements instead of rows."""
    assert compare(loss, brier, Case(NAME, (64, 12))).verdict == "ok"

    def by_elements(input: Tensor, target: Tensor) -> Tensor:
        return brier(input, target, "none").sum() / input.numel()

    assert compare(loss, by_elements, Case(NAME, (64, 12))).verdict == "wrong"


def test_its_conformance_cases_have_rows_and_pass(loss: Loss) -> None:
    """255 and 2047 terms are rows of two classes, and every case made from its makers passes."""
    sizes = {check.name: tuple(check.tensors("float32", "cpu")["input"].shape) for check in checks(loss)}
    assert {(255, 2), (2047, 2)} < set(sizes.values())
    results = [one for job in jobs([loss]) for one in answer([job])]
    assert {one.status for one in results} == {"pass"}


def test_its_mutants_are_detected_and_its_bits_are_stable(loss: Loss) -> None:
    """Every mutant that is wrong about this loss is refused, and the determinism audit runs on a shape that fits."""
    # Its mean divides by rows as that mutant does; nothing but a literal table has weights; the last needs large calls.
    left_out = ("divides by the wrong count", "drops weight", "reports before the device has finished")
    found = [detect(loss, one) for one in mutants(loss) if one.name not in left_out]
    assert [one.mutant for one in found if not one.by] == []
    assert audit(loss, brier).repeated


def test_compare_takes_its_default_shape_and_asks_for_two_dimensions(loss: Loss) -> None:
    """`lossimpl compare brier_loss` measures 512x32000, and one dimension is refused by name."""
    app = assemble()
    measured = CliRunner().invoke(app, ["compare", NAME, "--json"])
    assert json.loads(measured.stdout)[0]["shape"] == "512x32000", measured.output
    refused = CliRunner().invoke(app, ["compare", NAME, "--shape", "32"])
    assert (refused.exit_code, "needs 2 dimensions" in refused.output) == (2, True)


def test_it_is_computed_by_name(loss: Loss) -> None:
    """`compute` takes the loss's own arguments, and `auto` and `choose` take the implementation that there is."""
    x, y = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
    assert lossimpl.compute(NAME, x, y, reduction="sum").item() == pytest.approx(4 * (4 / 9 + 2 / 9))
    assert lossimpl.choose(NAME, x, y).implementation == "vectorized"
    with pytest.raises(TypeError, match="brier_loss: got an unexpected keyword argument 'gamma'"):
        lossimpl.compute(NAME, x, y, gamma=2.0)
    with pytest.raises(ValueError, match="unknown implementation 'torch' of brier_loss"):
        lossimpl.compute(NAME, x, y, implementation="torch")
