"""What several tests of the public functions use."""

from __future__ import annotations

import pytest

import lossimpl


@pytest.fixture(params=("auto", "native", "vectorized", "naive"))
def implementation(request: pytest.FixtureRequest) -> str:
    """One of ours; native only where it can be built."""
    name: str = request.param
    if name == "native" and lossimpl.get("mse_loss").available("cpu")["native"] is not None:
        pytest.skip("needs the native kernels")
    return name
