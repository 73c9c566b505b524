"""Claims about torch.compile of what people write themselves: it is there for every loss, and computes that loss."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lossimpl
from lossimpl.adapters import torch_compiled
from lossimpl.agreement import compare
from lossimpl.spec import TORCH_COMPILED, Case

OPTIONS = {"reduction": "mean"}


@pytest.mark.parametrize("name", list(torch_compiled.TEXTBOOK))
def test_the_textbook_agrees_with_the_oracle(name: str) -> None:
    """Before it is compiled, where torch has no function of its own: value and gradient of normal inputs."""
    case = Case(name, (16, 10), options=tuple(OPTIONS.items()))
    assert compare(lossimpl.get(name), torch_compiled.TEXTBOOK[name], case).verdict == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(lossimpl.LOSSES))
def test_compiled_it_agrees_with_the_oracle(name: str) -> None:
    """Value and gradient of normal inputs, through the compiler, for every loss."""
    case = Case(name, (16, 10), options=tuple(OPTIONS.items()))
    assert (
        compare(lossimpl.get(name), lossimpl.get(name).implementations[TORCH_COMPILED].load("cpu"), case).verdict
        == "ok"
    )


def test_registering_does_not_import_the_compiler() -> None:
    """Importing lossimpl stays as quick as it was: torch._dynamo alone takes a second."""
    program = "import sys, lossimpl; lossimpl.get('mse_loss'); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
