"""Where the Triton kernels run in these tests: on a GPU, or on CPU tensors in Triton's interpreter.

Triton decides when it is imported, so on a machine without a GPU the variable TRITON_INTERPRET=1 has to stand in the
environment of the whole session, as in `make test`; any other session skips these tests and says so. Tests that only
compile (test_triton_compile.py) start a process of their own and run everywhere.
"""

import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
NO_PLACE = "needs a GPU, or TRITON_INTERPRET=1 from the start: `TRITON_INTERPRET=1 pytest tests/kernels/triton`"


def pytest_collection_modifyitems(items):
    """Skip what has no place to run here."""
    for item in items:
        if "kernels/triton" not in item.path.as_posix():
            continue
        if item.get_closest_marker("cuda"):
            if INTERPRETED or not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))
        elif "device" in item.fixturenames and not (INTERPRETED or torch.cuda.is_available()):
            item.add_marker(pytest.mark.skip(reason=NO_PLACE))


@pytest.fixture
def device():
    """The device type whose tensors the kernels take here."""
    return "cpu" if INTERPRETED else "cuda"


@pytest.fixture
def small_tiles(device, monkeypatch):
    """Blocks so small that a few dozen elements make several programs, several tiles a row, and a loop in each."""
    from lossimpl.kernels.triton import tuning

    for name, value in {
        "ELEMENTWISE_BLOCK": 16,
        "HEAVY_BLOCK": 16,
        "PROGRAMS_PER_MULTIPROCESSOR": 1,
        "ROW_ON_CHIP": 8,
        "LONG_ROW_VECTORS": 2,
        "REDUCE_BLOCK": 4,
        "COUNTED_ROWS": 3,
        "TRIPLET_TILE": 8,
    }.items():
        monkeypatch.setattr(tuning, name, value)
