"""The conformance table under transforms, tracing and export: each case keeps the plain call's numbers and errors."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
import torch

import lossimpl
from lossimpl.agreement import ways
from lossimpl.agreement.judge import Result
from lossimpl.conformance import ways as table
from lossimpl.conformance.run import entry

pytestmark = pytest.mark.filterwarnings("ignore")  # broadcasting warns by contract, exporters and tracers by habit
QUICK = ("create_graph", "func.grad", "vmap", "nested vmap", "functionalize", "torch.fx")
ONNX = [name for name in table.RUNS if "onnx" in name]
BAR = [name for name in table.RUNS if name not in ONNX]


def broken(name: str, implementation: str, way: str, dtypes: tuple[str, ...] = ()) -> list[str]:
    """The cases that are not kept this way."""
    if implementation == "native" and lossimpl.get(name).available("cpu")["native"] is not None:
        pytest.skip("needs the native kernels")
    rows = table.results(name, implementation, way, dtypes)
    assert rows
    return [described(row) for row in rows if row.status not in ("pass", "not applicable")]


def described(row: Result) -> str:
    """A row in one line."""
    return f"{row.case} [{row.dtype}]: {row.reason}; got {row.got}; expected {row.expected}"


@pytest.mark.parametrize("way", QUICK)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_native_keeps_every_case(name: str, way: str) -> None:
    """In float32; expected: the literal numbers and the oracle's, as for the plain call."""
    assert broken(name, "native", way, ("float32",)) == []


@pytest.mark.parametrize("way", ["make_fx", "jvp", "linearize", "export", "compile", "torch.jit.trace", "hessian"])
@pytest.mark.parametrize("implementation", table.IMPLEMENTATIONS)
def test_slow_ways_of_one_loss(implementation: str, way: str) -> None:
    """The ways that take seconds per loss, on binary cross entropy with logits in float32."""
    assert broken("binary_cross_entropy_with_logits", implementation, way, ("float32",)) == []


@pytest.mark.slow
@pytest.mark.parametrize("way", BAR)
@pytest.mark.parametrize("implementation", table.IMPLEMENTATIONS)
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_ours_keep_every_case_in_every_type(name: str, implementation: str, way: str) -> None:
    """All that `lossimpl check --ways` asks, for one cell."""
    assert broken(name, implementation, way) == []


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs onnxruntime")
@pytest.mark.parametrize("way", ONNX)
@pytest.mark.parametrize("implementation", ["auto", "native"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_onnx_programs_compute_the_value(name: str, implementation: str, way: str) -> None:
    """Both exporters, run by onnxruntime: one case per loss; expected: the oracle's value."""
    way_of, (check, dtype) = table.KNOWN[way], table.cases(lossimpl.get(name), way)[0]
    row = ways.run_check(lossimpl.get(name), implementation, entry(name, implementation, "cpu"), check, dtype, way_of)
    assert (row.status, row.reason) == ("pass", "")


def test_a_case_that_ignores_the_value_has_tangents() -> None:
    """Smooth L1 of an infinite beta: its gradient of 0 is compared, the value is not."""
    loss = lossimpl.get("smooth_l1_loss")
    asked = [one for one in table.cases(loss, "jvp", ("float32",)) if one[0].name == "infinite beta"]
    (row,) = table.RUNS["jvp"](loss, "vectorized", entry(loss.name, "vectorized", "cpu"), asked)
    assert (row.status, row.reason) == ("pass", "")


def test_a_wrong_transform_is_seen() -> None:
    """The comparison can fail: a way that doubles the gradients keeps no case with one."""

    def doubled(*arguments: object) -> dict[str, torch.Tensor]:
        found = ways.create_graph(*arguments)  # type: ignore[arg-type]  # passed through
        return {name: one * 2 if name.startswith("gradient") else one for name, one in found.items()}

    loss, wrong = lossimpl.get("mse_loss"), replace(ways.WAYS[0], produce=doubled)
    asked = table.cases(loss, wrong.name, ("float32",))
    rows = table.case_by_case(wrong)(loss, "vectorized", entry("mse_loss", "vectorized", "cpu"), asked)
    assert sum(row.status == "fail" for row in rows) > 30


def test_what_torch_loses_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case is not applicable where torch keeps it plainly and loses it this way, here because the way is broken."""

    def broken_way(*arguments: object) -> dict[str, torch.Tensor]:
        raise RuntimeError("no such transform")

    loss = lossimpl.get("mse_loss")
    one = table.cases(loss, "jvp", ("float32",))[0]
    assert table.lost_by_torch(loss, "jvp", [one]) == set()
    broken = replace(table.KNOWN["jvp"], produce=broken_way)
    monkeypatch.setitem(table.RUNS, "jvp", table.case_by_case(broken))
    assert table.lost_by_torch(loss, "jvp", [one]) == {one}
