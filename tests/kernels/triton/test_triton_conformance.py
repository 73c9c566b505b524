"""The Triton kernels pass the project's conformance table, like every other implementation.

The interpreter takes a tenth of a second per kernel, so every twelfth check runs by default and the others are slow
tests. Checks of more than 20,000 elements need a GPU.
"""

import pytest
import torch

import lossimpl
from lossimpl.agreement.cases import checks
from lossimpl.agreement.judge import run_check

SHARE = 12
INTERPRETED_ELEMENTS = 20_000


def cells():
    """(loss, check, dtype), all but every twelfth marked slow."""
    count = 0
    for loss in lossimpl.LOSSES.values():
        for check in checks(loss):
            for dtype in check.dtypes:
                count += 1
                marks = [] if count % SHARE == 0 and not check.slow else [pytest.mark.slow]
                yield pytest.param(loss, check, dtype, id=f"{loss.name}-{check.name}-{dtype}", marks=marks)


@pytest.mark.parametrize(("loss", "check", "dtype"), list(cells()))
@pytest.mark.filterwarnings("ignore")  # numpy's warnings of the infinities that the interpreter meets, torch's of vmap
def test_conformance(loss, check, dtype, device):
    """The check passes; only torch.func transforms may be unavailable."""
    from lossimpl.kernels.triton import load

    if device == "cpu":
        largest = max(tensor.numel() for tensor in check.tensors(dtype, device).values() if torch.is_tensor(tensor))
        if dtype == "bfloat16":
            pytest.skip("Triton's interpreter truncates to bfloat16, where the hardware rounds to nearest")
        if largest > INTERPRETED_ELEMENTS:
            pytest.skip(f"{largest} elements take minutes in the interpreter")
    elif check.raises == (IndexError,) or "between 0 and 1" in check.name:
        pytest.skip("a device assert ends the process: test_triton_gpu.py covers it in a subprocess")
    row = run_check(loss, "native", load(loss.name), check, dtype, device)
    assert row.status in ("pass", "unavailable"), f"{row.reason}; got {row.got}, expected {row.expected}"
    assert row.status == "pass" or "torch.func" in row.reason, row.reason
