"""torch's own suite, through our public functions: OpInfo's sample inputs and error inputs, opcheck, compositions."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import pytest
import torch

import lossimpl
from lossimpl.agreement.compare import exact

pytest.importorskip("expecttest", reason="torch.testing._internal imports expecttest, which torch does not install")
op_db = importlib.import_module("torch.testing._internal.common_methods_invocations").op_db

NAMES = {
    "nn.functional.cross_entropy": "cross_entropy",
    "nn.functional.binary_cross_entropy": "binary_cross_entropy",
    "nn.functional.binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "nn.functional.l1_loss": "l1_loss",
    "nn.functional.mse_loss": "mse_loss",
    "nn.functional.smooth_l1_loss": "smooth_l1_loss",
    "nn.functional.huber_loss": "huber_loss",
    "nn.functional.triplet_margin_loss": "triplet_margin_loss",
}
OPS = {NAMES[op.name]: op for op in op_db if op.name in NAMES}
IMPLEMENTATIONS = ["naive", "vectorized", "native", "auto"]


def skip_unless_available(name: str, implementation: str) -> None:
    """Skip with the reason of an implementation that cannot run here."""
    reason = lossimpl.get(name).available("cpu").get(implementation)
    if reason is not None:
        pytest.skip(f"{implementation}: {reason}")


def skip_unless_there(name: str, implementation: str) -> None:
    """Skip an implementation that this loss does not have, or that cannot run here."""
    if implementation not in lossimpl.get(name).implementations:
        pytest.skip(f"{name} has no {implementation}")
    skip_unless_available(name, implementation)


def differentiated(function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> list[torch.Tensor]:
    """The value, and the gradient of the first argument."""
    first, *rest = arguments
    leaf = first.detach().clone().requires_grad_()
    value = function(leaf, *(one.detach() if isinstance(one, torch.Tensor) else one for one in rest), **options)
    return [value.detach(), torch.autograd.grad(value.sum(), leaf)[0]]


def test_every_loss_that_torch_has_is_in_its_suite() -> None:
    """Eight of ours have OpInfo samples."""
    assert set(OPS) == set(NAMES.values())


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", NAMES.values())
def test_sample_inputs_give_torchs_results(name: str, implementation: str) -> None:
    """Value and gradient of every sample, in float64, as torch.nn.functional computes them."""
    skip_unless_available(name, implementation)
    torch_function, ours = getattr(torch.nn.functional, name), getattr(lossimpl, name)
    samples = list(OPS[name].sample_inputs("cpu", torch.float64, requires_grad=False))
    assert samples
    for sample in samples:
        options = exact({key: value for key, value in sample.kwargs.items() if value is not None})
        arguments = (sample.input, *sample.args)
        got = differentiated(ours, arguments, options | {"implementation": implementation})
        torch.testing.assert_close(got, differentiated(torch_function, arguments, options), equal_nan=True)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.error_inputs_func is not None])
def test_error_inputs_raise_torchs_type_of_error(name: str, implementation: str) -> None:
    """What torch's suite calls an error is one here, of the same type."""
    skip_unless_available(name, implementation)
    for error in OPS[name].error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises(error.error_type):
            getattr(lossimpl, name)(sample.input, *sample.args, **sample.kwargs, implementation=implementation)


@pytest.mark.parametrize("implementation", ["auto", "naive", "vectorized", "torch", "native"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_every_implementation_composes_with_a_full_graph(name: str, implementation: str) -> None:
    """One call inside torch.compile(fullgraph=True), traced by aot_eager: the same value and gradient as without."""
    if implementation != "auto":
        skip_unless_there(name, implementation)
    loss, function = lossimpl.get(name), getattr(lossimpl, name)
    tensors = loss.makers["normal"]((4, 6), torch.float32, "cpu", torch.Generator().manual_seed(0))

    def step(*arguments: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = function(*arguments, reduction="mean", implementation=implementation)
        return result * 2

    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(differentiated(compiled, tensors, {}), differentiated(step, tensors, {}))


@pytest.mark.parametrize("implementation", ["auto", "vectorized", "native"])
@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("cross_entropy", "label_smoothing", (0.1, 0.3)),
        ("softmax_focal_loss", "gamma", (2.0, 0.5)),
        ("sigmoid_focal_loss", "alpha", (0.25, 0.75)),
        ("smooth_l1_loss", "beta", (1.0, 0.25)),
        ("huber_loss", "delta", (1.0, 0.25)),
        ("triplet_margin_loss", "margin", (1.0, 0.25)),
    ],
)
def test_an_option_may_change_between_calls_of_a_dynamic_full_graph(
    name: str, option: str, values: tuple[float, float], implementation: str
) -> None:
    """dynamic=True makes a symbol of the number; expected is the call outside of the compiler."""
    if implementation != "auto":
        skip_unless_there(name, implementation)
    loss, function = lossimpl.get(name), getattr(lossimpl, name)
    tensors = loss.makers["normal"]((4, 6), torch.float32, "cpu", torch.Generator().manual_seed(0))
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for value in values:
        options = {option: value, "implementation": implementation}
        torch.testing.assert_close(
            differentiated(compiled, tensors, options), differentiated(function, tensors, options)
        )


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["vectorized", "native"])
@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_ours_compose_with_a_full_graph_of_the_inductor(name: str, implementation: str) -> None:
    """As above with the default backend, whose code is what users run."""
    skip_unless_there(name, implementation)
    loss, function = lossimpl.get(name), getattr(lossimpl, name)
    tensors = loss.makers["normal"]((4, 6), torch.float32, "cpu", torch.Generator().manual_seed(0))
    torch.compiler.reset()
    compiled = torch.compile(lambda *one: function(*one, implementation=implementation).sum(), fullgraph=True)
    eager = differentiated(function, tensors, {"implementation": implementation})
    torch.testing.assert_close(differentiated(compiled, tensors, {})[1], eager[1])


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_the_registered_operators_pass_opcheck(name: str) -> None:
    """Schema, fake tensors, autograd registration and AOT dispatch, as torch.library.opcheck asks."""
    skip_unless_available(name, "native")
    loss = lossimpl.get(name)
    tensors = loss.makers["normal"]((4, 6), torch.float32, "cpu", torch.Generator().manual_seed(0))
    seen: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    class Recorder(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.namespace == "lossimpl":
                seen.append((func, args, kwargs or {}))
            return func(*args, **(kwargs or {}))

    with Recorder():
        loss.implementations["native"].load("cpu")(*tensors, reduction="mean")
    assert seen
    for operator, arguments, options in seen:
        torch.library.opcheck(operator, arguments, options)


@pytest.mark.parametrize("module", ["CrossEntropyLoss", "BCEWithLogitsLoss", "TripletMarginLoss"])
def test_modules_survive_a_deep_copy(module: str) -> None:
    """A copied module has torch's class, its arguments, and the implementation that was asked for."""
    import lossimpl.nn

    one = getattr(lossimpl.nn, module)(reduction="sum", implementation="vectorized")
    other = copy.deepcopy(one)
    assert isinstance(other, getattr(torch.nn, module))
    assert (other.reduction, other.implementation) == ("sum", "vectorized")
