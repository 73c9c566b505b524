"""The conformance table under transforms and tracing: the numbers and errors of the plain call, in every hard case."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import lossimpl
from lossimpl.agreement import ways
from lossimpl.agreement.cases import checks
from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result
from lossimpl.conformance.run import entry
from lossimpl.spec import Loss

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size", "ignore:There is a performance drop")
HEAVY = 1 << 13  # elements


def cases(loss: Loss, way: ways.Way) -> list[Check]:
    """The light cases that can be run this way."""
    return [one for one in checks(loss) if way.applies(one) and not one.slow and elements(one) < HEAVY]


def elements(check: Check) -> int:
    """The size of a check's largest tensor."""
    tensors = check.tensors(check.dtypes[0], "cpu").values()
    return max((one.numel() for one in tensors if isinstance(one, torch.Tensor)), default=0)


def broken(name: str, implementation: str, way: ways.Way, dtypes: tuple[str, ...]) -> list[str]:
    """The cases that are not kept this way."""
    loss = lossimpl.get(name)
    if loss.available("cpu")[implementation] is not None:
        pytest.skip(f"{implementation} is unavailable")
    function = entry(name, implementation, "cpu")
    rows = [
        ways.run_check(loss, implementation, function, check, dtype, way)
        for check in cases(loss, way)
        for dtype in check.dtypes
        if dtype in dtypes and way.serves(check, dtype)
    ]
    assert len(rows) > 30
    return [described(row) for row in rows if row.status in ("fail", "error")]


def described(row: Result) -> str:
    """A row in one line."""
    return f"{row.case} [{row.dtype}]: {row.reason}; got {row.got}; expected {row.expected}"


QUICK = [one for one in ways.WAYS if one.name != "jvp"]


@pytest.mark.parametrize("way", QUICK, ids=lambda one: one.name)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_native_keeps_every_case(name: str, way: ways.Way) -> None:
    """In float32; expected: the literal numbers and the oracle's, as for the plain call."""
    assert broken(name, "native", way, ("float32",)) == []


@pytest.mark.slow
@pytest.mark.parametrize("way", ways.WAYS, ids=lambda one: one.name)
@pytest.mark.parametrize("implementation", ["native", "vectorized", "naive"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_ours_keep_every_case_in_every_type(name: str, implementation: str, way: ways.Way) -> None:
    """The same in all types and for all eager implementations."""
    assert broken(name, implementation, way, ("float64", "float32", "bfloat16", "float16")) == []


def test_a_wrong_transform_is_seen() -> None:
    """The comparison can fail: a way that doubles the gradients keeps no case with one."""

    def doubled(*arguments: object) -> dict[str, torch.Tensor]:
        found = ways.create_graph(*arguments)  # type: ignore[arg-type]  # passed through
        return {name: one * 2 if name.startswith("gradient") else one for name, one in found.items()}

    wrong = replace(ways.WAYS[0], produce=doubled)
    assert len(broken("mse_loss", "vectorized", wrong, ("float32",))) > 30
