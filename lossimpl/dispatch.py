"""From a public call to an implementation: what `auto` takes, and the checks before it."""

from __future__ import annotations

import inspect
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function

from lossimpl import distributed, registry
from lossimpl.arguments import Dtypes, Option, described, options_of, plain, supported, supported_dtypes
from lossimpl.distributed import is_distributed
from lossimpl.spec import Function, Unavailable


@dataclass(frozen=True)
class Choice:
    """The implementation that `auto` takes for some tensors, and why."""

    implementation: str
    reason: str


def choose(name: str, *tensors: Tensor) -> Choice:
    """What `implementation="auto"` takes for these tensors, and why.

    >>> import torch
    >>> choose("log_cosh_loss", torch.zeros(2, dtype=torch.complex64), torch.zeros(2)).implementation
    'vectorized'
    """
    loss = registry.get(name)
    if not tensors or not isinstance(tensors[0], Tensor):
        raise TypeError(f"choose({name!r}, ...) needs the loss's tensors: {', '.join(loss.tensors)}")
    device = tensors[0].device.type
    reason = native_refuses(name, device) or next(
        (f"native has no kernel for {one.dtype}" for one in tensors if one.is_complex()), None
    )
    if reason is None:
        return Choice("native", f"the fused kernel serves {name} on {device}")
    return Choice(fallback(name), f"native is unavailable: {reason}")


FUNCTIONS: dict[tuple[str, str, str], Function] = {}  # a plain dict: torch.compile can look a function up in it
RESOLVED: dict[tuple[str, str, str], str] = {}  # loss, implementation asked for, device type -> the one that serves
REFUSED: dict[tuple[str, str], str] = {}  # loss and device type -> why there is no native function
KNOWN: dict[str, tuple[tuple[Option, ...], Dtypes]] = {}  # for each loss: its options, the dtypes of its tensors


def native_refuses(name: str, device: str) -> str | None:
    """Why native cannot be had for this loss on this device type, or None; built or imported once."""
    if "native" not in registry.get(name).implementations:
        return f"{name} has no fused kernel"
    if (name, device) not in REFUSED:
        try:
            remember(name, "native", device)
        except Unavailable as error:
            REFUSED[name, device] = str(error)
    return REFUSED.get((name, device))


def remember(name: str, implementation: str, device: str) -> None:
    """Put the raw function into FUNCTIONS; Unavailable says why it cannot be had."""
    if (name, implementation, device) not in FUNCTIONS:
        FUNCTIONS[name, implementation, device] = registry.function(name, implementation, device)
        loss = registry.get(name)
        KNOWN[name] = options_of(loss.check), supported_dtypes(loss)


def fallback(name: str) -> str:
    """The implementation that `auto` takes where native does not serve."""
    known = registry.get(name).implementations
    return next((one for one in ("torch", "vectorized") if one in known), next(iter(known)))


@cache
def warn_once(reason: str) -> None:
    """Warn that `auto` does without the fused kernels, the first time for each reason."""
    warnings.warn(f"implementation='auto' runs without the fused kernels, many times slower: {reason}", stacklevel=6)


def resolved(name: str, implementation: str, device: str) -> str:
    """The name of the implementation to use, loaded; outside any trace, since loading may build."""
    if not isinstance(implementation, str):
        raise TypeError(f"implementation must be the name of one, got {described(implementation)}")
    onnx = sys.modules.get("torch.onnx")
    if onnx is not None and onnx.is_in_onnx_export():
        implementation = exportable(implementation)
    key = name, implementation, device
    if key not in RESOLVED:
        RESOLVED[key] = loaded(name, implementation, device)
    return RESOLVED[key]


def exportable(implementation: str) -> str:
    """What is exported to ONNX: none of our operators, but a Sinh, which torch's legacy exporter does not know."""
    teach = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]  # torch documents it
    teach("aten::sinh", lambda graph, x: graph.op("Sinh", x), 9)
    return "vectorized" if implementation in ("auto", "native") else implementation


def loaded(name: str, implementation: str, device: str) -> str:
    """The name of the implementation, which is `native` or the fallback for `auto`, and now in FUNCTIONS."""
    if implementation == "auto":
        reason = native_refuses(name, device)
        implementation = "native" if reason is None else fallback(name)
        if reason is not None and device in registry.KERNELS and "native" in registry.get(name).implementations:
            warn_once(reason)
    remember(name, implementation, device)
    if implementation == "native":
        remember(name, fallback(name), device)
    return implementation


# As `torch._dynamo.assume_constant_result` marks it, whose import takes seconds and 70 MiB.
resolved._dynamo_marked_constant = True  # type: ignore[attr-defined]


def widened(argument: Any) -> Any:
    """A half-precision tensor in float32, anything else itself: torch's autocast computes losses in float32."""
    half = isinstance(argument, Tensor) and argument.dtype in (torch.float16, torch.bfloat16)
    return argument.float() if half else argument


def compute(name: str, *tensors: Tensor, implementation: str = "auto", **options: Any) -> Tensor:
    """Any loss by its name, one from `register_loss` too: its tensors in order, its options by name.

    Raises: ValueError for an unknown loss or implementation; TypeError for arguments that are not the loss's own; what
    the loss's check raises.

    >>> compute("huber_loss", torch.ones(2), torch.zeros(2), delta=2.0, implementation="torch")
    tensor(0.5000)
    """
    try:
        arguments = inspect.signature(registry.get(name).check).bind(*tensors, **options)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error
    arguments.apply_defaults()
    return call(name, implementation, *arguments.args)


def overriding(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that stand for tensors and take calls over by `__torch_function__`, as the proxies of torch.fx."""
    return tuple(one for one in arguments if not isinstance(one, Tensor) and hasattr(type(one), "__torch_function__"))


def call(name: str, implementation: str, *arguments: Any) -> Tensor:
    """Check the arguments, then compute. `arguments` are the loss's own, all of them, in order.

    `native` checks in its kernel; the loss's own check runs before it only where the types are such that the kernel
    might accept what torch refuses.
    """
    first = arguments[0]
    device = first.device.type if isinstance(first, Tensor) else "cpu"
    chosen = resolved(name, implementation, device)
    options, dtypes = KNOWN[name]
    if not isinstance(first, Tensor) and (stand_ins := overriding(arguments)):
        result: Tensor = handle_torch_function(call, stand_ins, name, implementation, *arguments)
        return result
    arguments = plain(options, arguments)
    if (device in registry.KERNELS or torch.amp.is_autocast_available(device)) and torch.is_autocast_enabled(device):
        arguments = tuple(map(widened, arguments))
    if chosen == "native":
        if not supported(dtypes, arguments):
            registry.get(name).check(*arguments)
        try:
            result = FUNCTIONS[name, "native", device](*arguments)
            return result
        except Unavailable:  # raised only after the check has accepted the arguments
            if implementation == "native":
                raise
        chosen = fallback(name)
    else:
        registry.get(name).check(*arguments)
    function = FUNCTIONS[name, chosen, device]
    if not torch.compiler.is_compiling() and any(map(is_distributed, arguments)):
        function = distributed.function(name, implementation, function)
    result = function(*arguments)
    return result
