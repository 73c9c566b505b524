"""The experiments: reproducible to the bit, and each kind refutes its claim where the opposite is planted."""

import importlib

import pytest
import torch

from lossimpl import claims
from lossimpl.claims.support import losses
from lossimpl.claims.support.run import run

QUICK = ("dataset_protocol", "kink_at_zero", "log_cosh_bounds", "mean_and_median", "smooth_l1_and_huber")


def module(name):
    """The module of a claim."""
    return importlib.import_module(f"lossimpl.claims.{name}")


@pytest.mark.parametrize("name", claims.names())
def test_every_claim_is_complete(name):
    """Statement, source with an address, criteria with a bound."""
    claim = claims.get(name)
    assert claim.statement.endswith(".")
    assert claim.source.url.startswith(("https://", "http://"))
    assert all(one.at_least > float("-inf") or one.at_most < float("inf") for one in claim.criteria.values())


@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_gives_the_same_bits(name):
    """Whatever ran before, and whatever torch's own generator and threads are."""
    first = run(name, 1)
    torch.rand(3)
    assert run(name, 1).digest == first.digest


@pytest.mark.slow  # all experiments twice take minutes
@pytest.mark.parametrize("name", claims.names())
def test_every_claim_gives_the_same_bits_in_time(name):
    """Two runs have one digest, and each takes less than 20 s."""
    first, again = run(name), run(name)
    assert first.digest == again.digest
    assert again.seconds < 20


def test_a_run_leaves_torch_as_it_was():
    """Threads and generator are the caller's again."""
    torch.manual_seed(5)
    expected, threads = torch.rand(2), torch.get_num_threads()
    torch.manual_seed(5)
    run("kink_at_zero", 9)
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def wrong_mae(x, y):
    """A squared error in the place of the absolute one."""
    return losses.mse(x, y)


PLANTS = {
    "mean_and_median": ("LOSSES", {"MSE": losses.mae, "MAE": losses.mse}),
    "outlier_influence": ("LOSSES", {**dict.fromkeys(("MSE", "MAE", "log-cosh", "Huber, δ = 1"), losses.mse)}),
    "constant_gradient": ("mae", wrong_mae),
    "kink_at_zero": ("mae", wrong_mae),
    "smooth_l1_and_huber": ("huber", lambda delta: losses.huber(2 * delta)),
    "log_cosh_bounds": ("log_cosh", losses.huber(1.0)),
    "normal_equations": ("normal", lambda x, y: torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ y)),
    "iterations_per_epoch": (
        "iterations",
        lambda dataset, batch, drop_last=False, workers=0: -(-len(dataset) // batch),
    ),
    "dataset_protocol": ("delivers", lambda make: True),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_opposite_is_refuted(name, monkeypatch):
    """With a part that contradicts the statement, the verdict is not that it holds."""
    monkeypatch.setattr(module(name), *PLANTS[name])
    assert run(name).verdict == "does not hold"
