"""Programs saved with torch.export or torch.jit load where nothing but `import lossimpl` was done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import lossimpl
from lossimpl.kernels import cpp

ORDERS = {
    "lossimpl first": "import lossimpl; import torch",
    "torch first": "import torch; import lossimpl",
    "torch looked for": "import importlib.util; import lossimpl; importlib.util.find_spec('torch'); import torch",
}


class Native(torch.nn.Module):
    """A module whose program names an operator of ours."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Log-cosh loss by the native kernel."""
        return lossimpl.log_cosh_loss(x, y, implementation="native")


def run(script: str) -> str:
    """What the script prints in a fresh process."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(cpp.available() is not None, reason="needs the native kernels")
@pytest.mark.parametrize("order", ORDERS)
def test_an_exported_program_loads(order: str, tmp_path: Path) -> None:
    """Its value is that of the module that was saved: log cosh 1 = 0.433781 (Wolfram Alpha)."""
    file = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(Native(), (torch.ones(3), torch.zeros(3))), file)
    load = f"print(float(torch.export.load({str(file)!r}).module()(torch.ones(3), torch.zeros(3))))"
    assert float(run(f"{ORDERS[order]}; {load}")) == pytest.approx(0.433781, abs=1e-6)


@pytest.mark.skipif(cpp.available() is not None, reason="needs the native kernels")
def test_a_traced_program_loads(tmp_path: Path) -> None:
    """The same for torch.jit.trace."""
    file = tmp_path / "program.pt"
    torch.jit.trace(Native(), (torch.ones(3), torch.zeros(3))).save(file)
    load = f"print(float(torch.jit.load({str(file)!r})(torch.ones(3), torch.zeros(3))))"
    assert float(run(f"{ORDERS['lossimpl first']}; {load}")) == pytest.approx(0.433781, abs=1e-6)


def test_importing_lossimpl_imports_no_torch() -> None:
    """Torch takes seconds; nor is anything else of ours imported, and the hook leaves once torch is there."""
    assert (
        run("import sys, lossimpl; print('torch' in sys.modules, 'lossimpl.operators' in sys.modules)") == "False False"
    )
    assert run(
        "import sys, lossimpl, torch; print(any('lossimpl' in type(one).__module__ for one in sys.meta_path))"
    ) == ("False")
