"""torch's own suite with torch's losses replaced by ours: its samples of operators and of modules, in every dtype."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import lossimpl
from lossimpl.patching import REPLACED

pytest.importorskip("expecttest", reason="torch.testing._internal imports expecttest, which torch does not install")
INTERNAL = "torch.testing._internal"
op_db = importlib.import_module(f"{INTERNAL}.common_methods_invocations").op_db
python_ref_db = importlib.import_module(f"{INTERNAL}.common_methods_invocations").python_ref_db
module_db = importlib.import_module(f"{INTERNAL}.common_modules").module_db

OPS = {op.name.removeprefix("nn.functional."): op for op in op_db if op.name.removeprefix("nn.functional.") in REPLACED}
REFS = {one.name.rpartition(".")[2]: one for one in python_ref_db if one.name.rpartition(".")[2] in REPLACED}
MODULES = {one.module_cls.__name__: one for one in module_db if hasattr(lossimpl.nn, one.module_cls.__name__)}
HALF = (torch.float16, torch.bfloat16)


def cells(ops: dict[str, Any]) -> list[tuple[str, torch.dtype]]:
    """Every operator with every dtype that torch's suite tests on the CPU; docs/differences.md has the one left out."""
    found = [(name, dtype) for name, op in ops.items() for dtype in sorted(op.supported_dtypes("cpu"), key=str)]
    return [cell for cell in found if cell != ("triplet_margin_loss", torch.uint8)]


def plain(value: Any) -> Any:
    """A copy without history, so that a sample may be used twice."""
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def result(function: Any, sample: Any) -> torch.Tensor:
    """The loss of a sample."""
    options = {key: plain(value) for key, value in sample.kwargs.items()}
    loss: torch.Tensor = function(plain(sample.input), *map(plain, sample.args), **options)
    return loss


def rounded_once(function: Any, sample: Any, dtype: torch.dtype) -> torch.Tensor:
    """torch's result; in half precision that of float32, rounded, since torch rounds at every step."""
    if dtype not in HALF:
        return result(function, sample)
    wide = sample.transform(lambda one: one.float() if isinstance(one, torch.Tensor) and one.dtype in HALF else one)
    return result(function, wide).to(dtype)


@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average and reduce args")
@pytest.mark.parametrize(("name", "dtype"), cells(OPS))
def test_operators(name: str, dtype: torch.dtype) -> None:
    """Every sample in every dtype; expected: torch's result before the replacement."""
    samples = list(OPS[name].sample_inputs("cpu", dtype))
    expected = [rounded_once(getattr(torch.nn.functional, name), one, dtype) for one in samples]
    with lossimpl.patch():
        got = [result(getattr(torch.nn.functional, name), one) for one in samples]
    torch.testing.assert_close(got, expected, equal_nan=True)


@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average and reduce args")
@pytest.mark.parametrize("name", OPS)
def test_derivatives(name: str) -> None:
    """First, second and forward-mode derivatives of every sample against finite differences, as torch tests them."""
    op = OPS[name]
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
        leaves = [one for one in (sample.input, *sample.args) if isinstance(one, torch.Tensor) and one.requires_grad]
        others = [one for one in (sample.input, *sample.args) if not any(one is leaf for leaf in leaves)]
        if any(isinstance(one, torch.Tensor) and one.requires_grad for one in sample.kwargs.values()):
            continue  # torch refuses a weight that requires grad

        def loss(*given: torch.Tensor, sample: Any = sample, others: Any = others) -> torch.Tensor:
            return result_of(name, (*given, *others), sample.kwargs)

        with lossimpl.patch():
            assert torch.autograd.gradcheck(loss, leaves, check_forward_ad=True)
            assert torch.autograd.gradgradcheck(loss, leaves)


def result_of(name: str, arguments: Any, options: Any) -> torch.Tensor:
    """What torch.nn.functional computes at the moment."""
    loss: torch.Tensor = getattr(torch.nn.functional, name)(*arguments, **options)
    return loss


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.error_inputs_func is not None])
def test_error_inputs_of_operators(name: str) -> None:
    """What torch's suite calls an error raises its type."""
    with lossimpl.patch():
        for error in OPS[name].error_inputs("cpu"):
            with pytest.raises(error.error_type, match=error.error_regex):
                result(getattr(torch.nn.functional, name), error.sample_input)


@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average and reduce args")
@pytest.mark.parametrize(("name", "dtype"), cells(REFS))
def test_python_references(name: str, dtype: torch.dtype) -> None:
    """torch's references in Python agree with ours; smooth L1's and triplet's call torch's functions themselves."""
    reference = REFS[name].op
    for sample in REFS[name].sample_inputs("cpu", dtype):
        expected = rounded_once(reference, sample, dtype)
        with lossimpl.patch():
            got = result(getattr(torch.nn.functional, name), sample)
        torch.testing.assert_close(got, expected, equal_nan=True)


def module_inputs(info: Any) -> Iterator[Any]:
    """torch's ways to construct and call a module, in float64."""
    yield from info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=True)


def called(module: Any, forward: Any) -> list[torch.Tensor]:
    """The value and the gradients of a module's call."""
    arguments = [plain(one) for one in forward.args]
    value = module(*arguments, **{key: plain(one) for key, one in forward.kwargs.items()})
    leaves = [one for one in arguments if isinstance(one, torch.Tensor) and one.requires_grad]
    return [value, *torch.autograd.grad(value.sum(), leaves)]


@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average and reduce args")
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    """Every construction and call of torch's suite, by torch's module over our functions and by our module."""
    info = MODULES[name]
    for sample in module_inputs(info):
        made = sample.constructor_input
        torchs = info.module_cls(*made.args, **made.kwargs)
        expected = called(torchs, sample.forward_input)
        with lossimpl.patch():
            torch.testing.assert_close(called(torchs, sample.forward_input), expected, equal_nan=True)
        mine = getattr(lossimpl.nn, name)(*made.args, **made.kwargs).to(torch.float64)
        torch.testing.assert_close(called(mine, sample.forward_input), expected, equal_nan=True)


@pytest.mark.parametrize("name", [name for name, one in MODULES.items() if one.module_error_inputs_func])
def test_error_inputs_of_modules(name: str) -> None:
    """The types and words of torch's errors, by torch's module over our functions and by our module."""
    info = MODULES[name]
    with lossimpl.patch():
        for error in info.module_error_inputs_func(info, "cpu", torch.float64, True, True):
            made, forward = error.module_error_input.constructor_input, error.module_error_input.forward_input
            for module in (info.module_cls, getattr(lossimpl.nn, name)):
                with pytest.raises(error.error_type, match=error.error_regex):
                    module(*made.args, **made.kwargs)(*forward.args, **forward.kwargs)
