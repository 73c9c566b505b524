"""Judging one conformance check: every check on every implementation gives one result, whatever happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossimpl.agreement.check import Check, literal
from lossimpl.agreement.distance import distance
from lossimpl.agreement.tolerances import CONTRACT, EPS, FLOOR
from lossimpl.agreement.uses import REFERENCE, call
from lossimpl.spec import OURS, Function, Loss, Unavailable

Produce = Callable[[dict[str, Tensor]], dict[str, Tensor]]
View = Callable[[dict[str, Tensor]], dict[str, Tensor]]
ASSERTED = "device-side assert"  # how CUDA reports, at the next synchronisation, that a kernel refused a value
RECENT = 4  # the implementations of one check follow each other; more would keep the tensors of large cases alive
_recent: dict[tuple[Check, str, str], dict[str, Tensor]] = {}
CLEAR_REFUSALS = {  # pattern in the message -> its meaning
    r"differentiat\w+ (it )?twice|twice differentiable|double backward|once_differentiable": "differentiates once only",
    r"donated buffers": "its graph can be walked once only",
    r"functorch|torch\.func|vmap": "does not compose with torch.func",
}


@dataclass(frozen=True)
class Result:
    """The outcome of one check on one implementation. `status` is pass, fail, unavailable or error."""

    loss: str
    case: str
    implementation: str
    device: str
    dtype: str
    status: str
    input: str
    expected: str
    got: str
    source: str
    reason: str


def run_check(loss: Loss, name: str, function: Function, check: Check, dtype: str, device: str = "cpu") -> Result:
    """The result of `function`, known as `name`, on one check in one dtype.

    `function` has the loss's signature and is expected to check its arguments. Whatever it raises becomes part of the
    result.
    """

    def produce(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        use = call if check.raises else check.use
        return use(function, tensors, check.options, wanted(loss, tensors))

    return judged(loss, name, produce, check, dtype, device)


def judged(
    loss: Loss, name: str, produce: Produce, check: Check, dtype: str, device: str = "cpu", view: View = dict
) -> Result:
    """The result of a check, from what `produce` computes from its tensors; `view` is what it computes of them."""
    tensors = check.tensors(dtype, device)
    expected: dict[str, Tensor] = {}

    def result(status: str, got: object = "", reason: str = "") -> Result:
        described = (
            _shown_call(tensors, check.options),
            _shown_expected(check, expected),
            show(got),
            check.source,
            reason,
        )
        return Result(loss.name, check.name, name, device, dtype, status, *described)

    try:
        expected = {} if check.raises else view(expectation(loss, check, dtype, device))
    except Exception as error:
        return result("error", reason=f"the oracle failed: {type(error).__name__}: {error}")
    try:
        got = produce(tensors)
        if device == "cuda":
            torch.cuda.synchronize()
    except Unavailable as error:
        return result("unavailable", reason=str(error))
    except Exception as error:
        return result(*_judge_error(check, name, error))
    if check.raises:
        return result("fail", got, "no error was raised")
    reason = _difference(check, dtype, got, expected)
    return result("fail" if reason else "pass", got, reason)


def without_outcome(
    check: Check, loss: str, name: str, dtype: str, device: str, reason: str, status: str = "error"
) -> Result:
    """The result of a check that ended without an outcome."""
    return Result(loss, check.name, name, device, dtype, status, "", "", "", check.source, reason)


def wanted(loss: Loss, tensors: Mapping[str, Any]) -> tuple[str, ...]:
    """The differentiable arguments that are floating-point tensors here."""
    return tuple(name for name in loss.differentiable if _floating(tensors.get(name)))


def expectation(loss: Loss, check: Check, dtype: str, device: str) -> dict[str, Tensor]:
    """The expected results: the check's literal numbers, and the float64 oracle's for those that it does not name."""
    key = (check, dtype, device)
    if key not in _recent:
        if len(_recent) >= RECENT:
            _recent.clear()
        _recent[key] = _expectation(loss, check, dtype, device)
    return _recent[key]


def _expectation(loss: Loss, check: Check, dtype: str, device: str) -> dict[str, Tensor]:
    tensors = check.tensors(dtype, device)
    use = REFERENCE.get(check.use, check.use)
    result: dict[str, Tensor] = {}
    if use is not call or "value" not in check.expected:
        exact = {name: one.double() if _floating(one) else one for name, one in tensors.items()}
        result = use(loss.oracle, exact, check.options, wanted(loss, exact))
    for name, numbers in check.expected.items():
        result[name] = literal(numbers, torch.float64, device).double()
    return {name: one for name, one in result.items() if name not in check.ignored}


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _judge_error(check: Check, name: str, error: Exception) -> tuple[str, str, str]:
    said = f"{type(error).__name__}: {error}"
    if not check.raises:
        for pattern, meaning in CLEAR_REFUSALS.items():
            if isinstance(error, RuntimeError) and re.search(pattern, str(error)):
                return "unavailable", said, f"{meaning}: {said.splitlines()[0]}"
        return "error", said, "an error where a result was expected"
    if ASSERTED in said:
        return "pass", said, ""
    if not isinstance(error, check.raises):
        return "fail", said, f"the error must be {_names(check.raises)}"
    missing = [part for part in check.says if part.lower() not in str(error).lower()]
    if missing and name in OURS:
        return "fail", said, f"the message must say {', '.join(map(repr, missing))}"
    return "pass", said, ""


def _difference(check: Check, dtype: str, got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    for name, want in expected.items():
        reason = _mismatch(check, dtype, name, got[name], want)
        if reason:
            return f"{name}: {reason}"
    return ""


def _mismatch(check: Check, dtype: str, name: str, got: Tensor, want: Tensor) -> str:
    if got.shape != want.shape:
        return f"shape {tuple(got.shape)}, expected {tuple(want.shape)}"
    result = getattr(torch, check.result or dtype)
    if name == "value" and got.dtype != result:
        return f"dtype {got.dtype}, expected {result}"
    far = distance(got, want, 0.0 if check.tail else FLOOR)
    slope = "derivative" in name or "gradient" in name
    limit = CONTRACT[dtype].grad_max if slope else CONTRACT[dtype].value_max
    limit += (check.roundings - 1) * EPS.get(dtype, 0.0) / 2
    if not far.max_rel <= limit:
        return f"relative error {far.max_rel:.3g} exceeds {limit:g} at {far.worst}"
    if check.ulp is not None and not far.ulp <= check.ulp:
        return f"{far.ulp:.3g} units in the last place, at most {check.ulp:g} allowed; {far.worst}"
    return ""


def _names(types: tuple[type[Exception], ...]) -> str:
    return " or ".join(one.__name__ for one in types)


def _shown_expected(check: Check, expected: object) -> str:
    if not check.raises:
        return show(expected)
    return _names(check.raises) + (f" that says {', '.join(map(repr, check.says))}" if check.says else "")


def _shown_call(tensors: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={show(value)}" for name, value in {**tensors, **options}.items())


def show(value: object) -> str:
    """A value in one short line: small tensors in full, larger ones by shape and dtype."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {show(one)}" for name, one in value.items())
    if not isinstance(value, Tensor):
        return str(value)
    dtype = str(value.dtype).removeprefix("torch.")
    if value.numel() > 24:
        return f"{dtype}{list(value.shape)}"
    return str(_rounded(value.tolist())) if value.numel() else f"{dtype}{list(value.shape)}"


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(one) for one in values]
    return float(f"{values:.9g}") if isinstance(values, float) else values
