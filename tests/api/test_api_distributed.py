"""Losses in two processes on gloo: DDP, FSDP2, selective checkpoints, DTensors; `two_processes.py` has the claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()), reason="needs torch with gloo"
)
SCRIPT = Path(__file__).with_name("two_processes.py")
CLAIMS = (
    "DDP",
    "FSDP2",
    "selective checkpoints in DDP",
    "selective checkpoints in FSDP2",
    "DTensors by auto",
    "DTensors by vectorized",
    "DTensors with options",
    "DTensors in loss_parallel",
    "DTensors are refused by name",
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str | None]]:
    """What each rank found: per claim None, or the error."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("claim", CLAIMS)
def test_two_processes_give_the_numbers_of_one(claim: str, outcomes: list[dict[str, str | None]]) -> None:
    """On both ranks; the expected numbers come from the same call on undistributed tensors."""
    assert [one[claim] for one in outcomes] == [None, None]


def test_every_claim_is_tested(outcomes: list[dict[str, str | None]]) -> None:
    """The names above are those of the script."""
    assert list(outcomes[0]) == list(CLAIMS)
