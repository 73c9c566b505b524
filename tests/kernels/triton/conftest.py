"""Where the Triton kernels run in these tests: on a GPU, or on CPU tensors in Triton's interpreter.

Triton decides on import, so without a GPU the whole session needs TRITON_INTERPRET=1 in its environment, as in
`make test`; other sessions skip these tests and report it. Tests that only compile (test_triton_compile.py) use a
process of their own and run everywhere.
"""

import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
NO_DEVICE = "needs a GPU or the interpreter: run `TRITON_INTERPRET=1 pytest tests/kernels/triton`"


def obstacle():
    """Why no kernel can run here, or None. Triton 3.6 (torch 2.11) converts arrays to int, which numpy 2.4 rejects."""
    if not INTERPRETED:
        return None if torch.cuda.is_available() else NO_DEVICE
    import numpy
    import triton

    old = tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 7)
    new = tuple(int(part) for part in numpy.__version__.split(".")[:2]) >= (2, 4)
    return f"Triton {triton.__version__} does not interpret with numpy {numpy.__version__}" if old and new else None


def pytest_collection_modifyitems(items):
    """Skip the tests that cannot run here."""
    ours = [item for item in items if "kernels/triton" in item.path.as_posix()]
    reason = obstacle() if ours else None
    for item in ours:
        if item.get_closest_marker("cuda"):
            if INTERPRETED or not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))
        elif "device" in item.fixturenames and reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def device():
    """The device type of the tensors that the kernels take here."""
    return "cpu" if INTERPRETED else "cuda"


@pytest.fixture
def small_tiles(device, monkeypatch):
    """Blocks so small that a few dozen elements need several programs, several tiles per row, and loops in each."""
    from lossimpl.kernels.triton import tuning

    for name, value in {
        "ELEMENTWISE_BLOCK": 16,
        "HEAVY_BLOCK": 16,
        "PROGRAMS_PER_MULTIPROCESSOR": 1,
        "ROW_ON_CHIP": 8,
        "LONG_ROW_VECTORS": 2,
        "PART_BYTES": 64,
        "REDUCE_BLOCK": 4,
        "COUNTED_ROWS": 3,
        "TRIPLET_TILE": 8,
    }.items():
        monkeypatch.setattr(tuning, name, value)
