"""The conformance table: complete, unambiguous, true of the oracle, and kept by our eager implementations."""

from __future__ import annotations

import pytest

import lossimpl
from lossimpl.agreement.cases import checks
from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, expectation, run_check
from lossimpl.agreement.uses import REFERENCE
from lossimpl.conformance.run import answer, entry, jobs
from lossimpl.spec import Loss

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")  # broadcasting is what some cases are about
HEAVY = 1 << 17  # elements: from here on a case is left to `make test FULL=1`


def light(loss: Loss, check: Check) -> bool:
    """Whether a case is small enough for every test run."""
    if check.slow:
        return False
    tensors = check.tensors(check.dtypes[0], "cpu")
    return all(getattr(one, "numel", lambda: 0)() < HEAVY for one in tensors.values())


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_every_check_has_a_name_of_its_own_and_a_source(name: str) -> None:
    """A name is the key of a row; an expectation without a source is an opinion."""
    table = checks(lossimpl.get(name))
    assert len({check.name for check in table}) == len(table)
    assert all(check.source for check in table)
    assert len(table) > 60


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_the_literal_numbers_are_the_oracles(name: str) -> None:
    """Where a check names a number, the float64 oracle gives it too: two sources agree."""
    loss = lossimpl.get(name)
    table = [check for check in checks(loss) if check.expected and "float64" in check.dtypes and light(loss, check)]
    for check in table:
        use = REFERENCE.get(check.use, check.use)
        got = use(loss.oracle, check.tensors("float64", "cpu"), check.options, tuple(loss.differentiable))
        for what, want in expectation(loss, check, "float64", "cpu").items():
            same = (got[what].isnan() & want.isnan()) | (got[what] == want)
            close = (got[what] - want).abs() <= 1e-12 * want.abs().clamp_min(1e-3)
            assert bool((same | close).all()), (check.name, what, got[what], want)


@pytest.mark.parametrize("implementation", ["naive", "vectorized", "native"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_ours_keep_every_case(name: str, implementation: str) -> None:
    """No failure and no error of an eager implementation of ours, in any dtype."""
    loss = lossimpl.get(name)
    reason = loss.available("cpu")[implementation]
    if reason is not None:
        pytest.skip(f"{implementation}: {reason}")
    function = entry(name, implementation, "cpu")
    rows = [
        run_check(loss, implementation, function, check, dtype)
        for check in checks(loss)
        if light(loss, check)
        for dtype in check.dtypes
    ]
    assert [described(row) for row in rows if row.status in ("fail", "error")] == []


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["vectorized", "native"])
@pytest.mark.parametrize("name", ["cross_entropy", "softmax_focal_loss"])
def test_ours_keep_the_large_cases(name: str, implementation: str) -> None:
    """Vocabularies up to 262144 classes."""
    loss = lossimpl.get(name)
    reason = loss.available("cpu")[implementation]
    if reason is not None:
        pytest.skip(f"{implementation}: {reason}")
    function = entry(name, implementation, "cpu")
    table = [check for check in checks(loss) if not light(loss, check) and not check.slow]
    rows = [run_check(loss, implementation, function, check, dtype) for check in table for dtype in check.dtypes]
    assert [described(row) for row in rows if row.status in ("fail", "error")] == []


def test_some_compiled_cases_pass_together() -> None:
    """A batch of cases in one compiled graph: the first of a loss's table."""
    loss = lossimpl.get("mse_loss")
    todo = [job for job in jobs([loss], ["compiled"], dtypes=["float32"]) if "inputs, reduction" in job.case][:6]
    assert [row.status for row in answer(todo)] == ["pass"] * 6


@pytest.mark.slow
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_compiled_keeps_every_case(name: str) -> None:
    """All that `lossimpl check --implementation compiled` asks, for one loss."""
    from lossimpl.conformance.run import run

    rows = list(run(jobs([lossimpl.get(name)], ["compiled"])))
    assert [described(row) for row in rows if row.status in ("fail", "error")] == []


def test_torchs_weak_spots_are_seen_as_failures() -> None:
    """The table can fail: torch loses a confident loss's digits, and gives NaN at infinite logits."""
    for name, case in (
        ("cross_entropy", "a lead of 20: the small loss keeps its digits"),
        ("binary_cross_entropy_with_logits", "infinite: x=inf, y=1"),
    ):
        loss = lossimpl.get(name)
        (check,) = [check for check in checks(loss) if check.name == case]
        row = run_check(loss, "torch", entry(name, "torch", "cpu"), check, "float32")
        assert (row.status, bool(row.got), bool(row.source)) == ("fail", True, True)


def described(row: Result) -> str:
    """A row in one line."""
    return f"{row.case} [{row.dtype}]: {row.reason}; got {row.got}; expected {row.expected}"
