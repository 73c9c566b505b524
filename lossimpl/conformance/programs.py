"""Ways through programs that are recorded case by case: torch.jit.trace, torch.fx, and the two exporters to ONNX.

They are costly, so a sample of the cases runs. ONNX programs compute the value alone, by onnxruntime in float32.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from lossimpl.agreement.check import Check
from lossimpl.agreement.uses import Backward, Tensors, leaves
from lossimpl.agreement.ways import Way, split
from lossimpl.spec import Function, Unavailable

OPSET = 18  # of the legacy exporter; the first with the reductions over axes that are inputs


class Losses(nn.Module):
    """A loss as a module of its tensor arguments, in order."""

    def __init__(self, function: Function, names: tuple[str, ...], others: Mapping[str, Any]) -> None:
        super().__init__()
        self.function, self.names, self.others = function, names, others

    def forward(self, *tensors: Tensor) -> Tensor:
        """The loss."""
        result: Tensor = self.function(**dict(zip(self.names, tensors, strict=True)), **self.others)
        return result


class OfOne(Losses):
    """The same with one argument, since torch.fx traces no variable number of them."""

    def forward(self, first: Tensor) -> Tensor:  # type: ignore[override]  # see above
        """The loss."""
        return super().forward(first)


class OfTwo(Losses):
    """The same with two arguments."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]  # see above
        """The loss."""
        return super().forward(first, second)


class OfThree(Losses):
    """The same with three arguments."""

    def forward(self, first: Tensor, second: Tensor, third: Tensor) -> Tensor:  # type: ignore[override]  # see above
        """The loss."""
        return super().forward(first, second, third)


class OfFour(Losses):
    """The same with four arguments."""

    def forward(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:  # type: ignore[override]  # see above
        """The loss."""
        return super().forward(a, b, c, d)


def module_of(function: Function, tensors: Tensors, options: Mapping[str, Any]) -> tuple[nn.Module, Tensors]:
    """The loss as a module, and the tensors that it takes."""
    given, fixed = split(tensors)
    kind = {1: OfOne, 2: OfTwo, 3: OfThree, 4: OfFour}[len(given)]
    return kind(function, tuple(given), {**fixed, **options}), given


def jit_trace(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of a program of `torch.jit.trace`."""
    module, given = module_of(function, tensors, options)
    example = tuple(given.values())
    program = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]  # torch's is untyped
    return _passes(program, given, names, use)


def symbolic_trace(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of a module that `torch.fx.symbolic_trace` recorded, with proxies that are no tensors."""
    module, given = module_of(function, tensors, options)
    return _passes(torch.fx.symbolic_trace(module), given, names, use)


def _passes(program: Any, given: Tensors, names: tuple[str, ...], use: Backward) -> Tensors:
    if not names:
        return {"value": program(*given.values())}
    inputs = leaves(given, names)
    return use.differentiate(program(*inputs.values()), inputs, names)


def onnx(function: Function, tensors: Tensors, options: Mapping[str, Any], dynamo: bool) -> Tensors:
    """The value that onnxruntime computes from the exported program."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # the exporter needs it, and would fail without saying so
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed") from error
    module, given = module_of(function, tensors, options)
    file = io.BytesIO()
    more: dict[str, Any] = {"verbose": False} if dynamo else {"opset_version": OPSET}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, tuple(given.values()), file, dynamo=dynamo, **more)  # type: ignore[arg-type]  # a file serves
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    inputs = dict(zip((one.name for one in session.get_inputs()), given.values(), strict=True))
    return {"value": torch.from_numpy(session.run(None, {name: one.numpy() for name, one in inputs.items()})[0])}


def onnx_dynamo(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The exporter through `torch.export`."""
    del names, use
    return onnx(function, tensors, options, dynamo=True)


def onnx_script(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """The legacy exporter, through `torch.jit.trace`."""
    del names, use
    return onnx(function, tensors, options, dynamo=False)


class ToOnnx(Way):
    """A way that serves results in float32; what ONNX programs do with invalid values is the runtime's own matter."""

    def serves(self, check: Check, dtype: str) -> bool:
        """Whether the case has a float32 result, and no empty tensor, of which torch's exporter dies."""
        if dtype != "float32" or check.raises or check.result or check.tail:  # ONNX has no log1p, which keeps tails
            return False
        return all(one.numel() for one in split(check.tensors(dtype, "cpu"))[0].values())


PROGRAMS = (
    Way("torch.jit.trace", jit_trace, records=True, sample=16),
    Way("torch.fx", symbolic_trace, records=True, sample=40),
    ToOnnx("torch.onnx.export", onnx_dynamo, forward_only=True, sample=4),
    ToOnnx("torch.onnx.export(dynamo=False)", onnx_script, forward_only=True, sample=4),
)
