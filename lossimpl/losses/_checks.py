"""Argument checks that several losses share.

Each raises the type of error that torch raises, names the argument, shows the value and says what is allowed. Checks
of values read the data, so they run on CPU tensors only, and never while a graph is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from lossimpl.arguments import number
from lossimpl.spec import REDUCTIONS


def held_values(tensor: Tensor) -> Tensor:
    """The tensor that holds the values, out of the wrappers of `torch.func`."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.detach()


def may_be_read(tensor: Tensor) -> bool:
    """Whether values may be looked at: on the CPU (elsewhere one would wait for the device), and not while tracing."""
    traced = torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()
    return not traced and tensor.device.type == "cpu" and not is_subclass(tensor)


def is_subclass(tensor: Tensor) -> bool:
    """Whether a subclass or a mode takes the tensor's operations over, as with tensors that hold no values."""
    return torch._C._dispatch_keys(tensor).has(torch._C.DispatchKey.Python)


def invalid_value(tensor: Tensor, valid: Callable[[Tensor], Tensor], rule: str) -> float | int | None:
    """A value of the tensor that is not valid; None if there is none, or none may be read.

    The look is not part of what is computed: no mode and no transform sees it. Where a graph is recorded that will run
    later, it is the graph that raises RuntimeError with the rule.
    """
    if torch.compiler.is_dynamo_compiling():
        if tensor.device.type == "cpu":
            torch._assert_async(valid(tensor).all(), rule)
        return None
    with torch._C.DisableTorchFunction(), torch._C._DisableFuncTorch():
        held = held_values(tensor)
        if not may_be_read(held):
            if is_recorded(held):
                torch._assert_async(valid(held).all(), rule)
            return None
        with without_modes():
            right = valid(held)
            return None if bool(right.all()) else held[~right].flatten()[0].item()


def is_recorded(tensor: Tensor) -> bool:
    """Whether operations are recorded in a graph that can check values, on a device where that is cheap."""
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    traced = torch._C._get_tracing_state() is not None and not torch.onnx.is_in_onnx_export()
    return tensor.device.type == "cpu" and (traced or (fake is not None and isinstance(tensor, fake.FakeTensor)))


def without_modes() -> AbstractContextManager[object]:
    """A context in which no dispatch mode is active; entering it costs nothing where none is."""
    return _disable_current_modes() if torch._C._len_torch_dispatch_stack() else nullcontext()


def require_reduction(reduction: Any) -> None:
    """Raise ValueError unless the reduction is one of three."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: it must be 'none', 'mean' or 'sum'")


def is_dense(tensor: Tensor) -> bool:
    """Whether every element of a tensor stands in memory as a number: not sparse, nested or quantized."""
    return tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_quantized


def kind_of(tensor: Tensor) -> str:
    """What makes a tensor not dense, for a message."""
    if tensor.is_nested:
        return "nested rows of several lengths"
    return f"dtype {tensor.dtype}" if tensor.is_quantized else f"layout {tensor.layout}"


def require_tensors(**tensors: Any) -> None:
    """Raise TypeError unless every argument is a tensor, RuntimeError unless all are dense and on one device."""
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
        if not is_dense(value):
            raise NotImplementedError(f"{name} has {kind_of(value)}, not implemented: it must be dense")
    (first, one), *others = tensors.items()
    for name, other in others:
        if other.device != one.device:
            raise RuntimeError(
                f"expected all tensors on the same device: {first} is on {one.device}, {name} on {other.device}"
            )


def require_floating(**tensors: Tensor) -> None:
    """Raise NotImplementedError, as torch's kernels do, for a tensor that is not floating point."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise NotImplementedError(
                f"{name} has dtype {tensor.dtype}, not implemented: "
                "it must be torch.float64, torch.float32, torch.bfloat16 or torch.float16"
            )


def require_input_first(**tensors: Tensor) -> None:
    """Raise NotImplementedError where only the second of two tensors is floating point: they were swapped."""
    (first, input), (second, target) = tensors.items()
    if target.is_floating_point() and not input.is_floating_point():
        raise NotImplementedError(
            f"{first} has dtype {input.dtype} and {second} {target.dtype}, as if given in the wrong order: "
            f"{first}, which is floating point, comes first"
        )


def require_floating_target(**tensors: Tensor) -> None:
    """Raise RuntimeError unless the second of two tensors is floating point."""
    (_, input), (second, target) = tensors.items()
    if not target.is_floating_point():
        raise RuntimeError(
            f"{second} has dtype {target.dtype}: it must be floating point, as {second}.to({input.dtype}) is"
        )


def require_some_floating(**tensors: Tensor) -> None:
    """Raise NotImplementedError unless at least one is floating point and none is complex."""
    if any(tensor.is_complex() for tensor in tensors.values()):
        require_floating(**tensors)
    if not any(tensor.is_floating_point() for tensor in tensors.values()):
        require_floating(**tensors)


def require_no_bool(**tensors: Tensor) -> None:
    """Raise RuntimeError, as torch's subtraction does, for a tensor of truth values."""
    for name, tensor in tensors.items():
        if tensor.dtype is torch.bool:
            raise RuntimeError(f"{name} has dtype torch.bool, which cannot be subtracted: it must hold numbers")


def require_constant(**tensors: Tensor | None) -> None:
    """Raise RuntimeError, as torch does, for a tensor given that asks for a gradient it would not get there."""
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and tensor.requires_grad and torch.is_grad_enabled():
            raise RuntimeError(f"{name} requires grad, but the loss is not differentiable in it: give {name}.detach()")


def require_broadcast(**tensors: Tensor) -> None:
    """Raise RuntimeError unless the shapes broadcast together."""
    (first, a), *others = tensors.items()
    for name, b in others:
        for back in range(1, min(a.dim(), b.dim()) + 1):
            if a.shape[-back] != b.shape[-back] and 1 not in (a.shape[-back], b.shape[-back]):
                raise RuntimeError(
                    f"The size of tensor a ({a.shape[-back]}) must match the size of tensor b ({b.shape[-back]}) at "
                    f"non-singleton dimension {max(a.dim(), b.dim()) - back}: {first} has shape {list(a.shape)} and "
                    f"{name} {list(b.shape)}, which do not broadcast"
                )


def require_expandable(shape: torch.Size, **tensors: Tensor | None) -> None:
    """Raise RuntimeError unless each tensor given broadcasts to `shape` without enlarging it."""
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        require_tensors(**{name: tensor})
        fits = tensor.dim() <= len(shape) and all(
            size in (1, wanted) for size, wanted in zip(reversed(tensor.shape), reversed(shape), strict=False)
        )
        if not fits:
            raise RuntimeError(f"{name} has shape {list(tensor.shape)}: it must broadcast to input's {list(shape)}")


def require_weight_like(input: Tensor, weight: Tensor | None) -> None:
    """Raise ValueError unless an elementwise weight has input's own shape."""
    if weight is None:
        return
    require_tensors(input=input, weight=weight)
    if weight.shape != input.shape:
        raise ValueError(
            "Weights and input must have the same size: "
            f"weight has shape {list(weight.shape)}, input {list(input.shape)}"
        )


def require_number(**values: Any) -> None:
    """Raise TypeError unless every value is a real number."""
    for name, value in values.items():
        number(name, value, (float,))


def require_whole(**values: Any) -> None:
    """Raise TypeError unless every value is a whole number, ValueError unless 64 bits hold it."""
    for name, value in values.items():
        number(name, value, (int,))


def require_unit_interval(**tensors: Tensor) -> None:
    """Raise RuntimeError unless every element lies in [0, 1]; NaN does not."""
    for name, tensor in tensors.items():
        rule = f"all elements of {name} should be between 0 and 1"
        worst = invalid_value(tensor, lambda one: (one >= 0) & (one <= 1), rule)
        if worst is not None:
            raise RuntimeError(f"{rule}, got {worst}")


def check_pair(input: Any, target: Any, reduction: Any, weight: Any = None) -> None:
    """The checks that the elementwise regression losses share."""
    require_tensors(input=input, target=target)
    require_reduction(reduction)
    require_broadcast(input=input, target=target)
    require_weight_like(input, weight)
