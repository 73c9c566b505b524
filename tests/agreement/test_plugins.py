"""Plug-ins: peers that cannot run here say why and stay visible, and the example package adds what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lossimpl
from lossimpl.adapters import liger, metric_learning, quack, torchvision
from lossimpl.agreement import compare
from lossimpl.spec import Case

EXAMPLE = Path(__file__).parents[2] / "examples" / "lossimpl-extra"


@pytest.mark.parametrize(("adapter", "says"), [(liger, "CUDA only"), (quack, "CUDA only")])
def test_a_cuda_peer_says_so_on_cpu(adapter: object, says: str) -> None:
    """The reason is there before anything is imported, and the call raises it too."""
    assert says in adapter.available("cpu")  # type: ignore[attr-defined]  # a module
    with pytest.raises(lossimpl.Unavailable, match=says):
        adapter.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]))  # type: ignore[attr-defined]  # a module


def test_torchvision_agrees_or_says_why_it_cannot_be_imported() -> None:
    """An import that fails is carried as the reason; one that works is held to the same tolerances."""
    reason = torchvision.available("cpu")
    if reason is None:
        loss, case = lossimpl.get("sigmoid_focal_loss"), Case("sigmoid_focal_loss", (9, 7))
        assert compare(loss, torchvision.sigmoid_focal_loss, case).verdict == "ok"
    else:
        assert re.match(r"torchvision(\.ops\.focal_loss cannot be imported here: | is not installed)", reason)
        with pytest.raises(lossimpl.Unavailable, match=r"cannot be imported here|is not installed"):
            torchvision.sigmoid_focal_loss(torch.zeros(2), torch.zeros(2))


def test_metric_learning_agrees_or_says_why_it_cannot_be_imported() -> None:
    """Its options map to ours: every reduction, with and without swap, in two norms."""
    reason = metric_learning.available("cpu")
    if reason is not None:
        assert "cannot be imported here" in reason or "is not installed" in reason
        pytest.skip(reason)
    loss = lossimpl.get("triplet_margin_loss")
    for p in (1.0, 2.0):
        for swap in (False, True):
            for reduction in ("mean", "sum", "none"):
                case = Case(loss.name, (33, 16), options=(("p", p), ("reduction", reduction), ("swap", swap)))
                assert compare(loss, metric_learning.triplet_margin_loss, case).verdict == "ok", case.key


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the example package is installed, into a folder of its own."""
    target = tmp_path_factory.mktemp("extra")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, str(target), str(EXAMPLE)], check=True, capture_output=True, timeout=300)
    return os.environ | {"PYTHONPATH": f"{target}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def test_the_example_package_adds_an_implementation_and_a_loss(installed: dict[str, str]) -> None:
    """Both appear where everything else does, and compute what the oracle does."""
    program = (
        "import lossimpl, json; from lossimpl.agreement import compare; from lossimpl.spec import Case\n"
        "found = {}\n"
        "for name, one in (('mse_loss', 'addcmul'), ('cauchy_loss', 'vectorized')):\n"
        "    loss = lossimpl.get(name)\n"
        "    found[name] = compare(loss, loss.implementations[one].load('cpu'), Case(name, (8, 9))).verdict\n"
        "print(json.dumps([list(lossimpl.LOSSES)[-1], found]))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=installed, capture_output=True, text=True, timeout=300)
    assert json.loads(done.stdout) == ["cauchy_loss", {"mse_loss": "ok", "cauchy_loss": "ok"}], done.stderr


def test_check_shows_the_loss_from_outside_and_does_not_fail_for_it(installed: dict[str, str], tmp_path: Path) -> None:
    """`lossimpl check cauchy_loss`: ours pass; the outside form that loses digits fails, without ending the run."""
    rows = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "lossimpl.cli", "check", "cauchy_loss", "--json", str(rows)]
    done = subprocess.run(command, env=installed, capture_output=True, text=True, timeout=300)
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["status"] for row in found if row["implementation"] == "vectorized"} == {"pass"}
    assert {"pass", "fail"} <= {row["status"] for row in found if row["implementation"] == "atan"}
    fields = "loss case implementation device dtype status input expected got source reason"
    assert list(found[0]) == fields.split()
