"""The examples of callbacks for Lightning and for the Trainer of Hugging Face run, where these are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_a_callback_reports_what_loading_costs(name):
    """Samples of 5 ms beside one linear layer: the dataset is most of the waiting."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    call = [sys.executable, str(EXAMPLES / f"observe_{name}.py")]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(call, capture_output=True, text=True, env=quiet, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    cost, *others = [line for line in done.stdout.splitlines() if line.startswith(("Loading", "Try", "At the", "No "))]
    assert cost.startswith("Loading costs")
    assert "the dataset (" in cost
    assert len(others) == 2
