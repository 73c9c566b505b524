"""LOSSES: every loss with its implementations: ours, those of peers, and what plug-ins register.

A plug-in calls `register` or `register_loss`, by hand or from a function that the entry-point group
`lossimpl.implementations` names. One that fails to load stays visible in `FAILED`, with the reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType

import torch

from lossimpl.adapters import PEERS
from lossimpl.compiled import compiled
from lossimpl.losses import MODULES
from lossimpl.spec import DEVICES, OURS, Case, Function, Implementation, Loss, Unavailable, serves_all

GROUP = "lossimpl.implementations"
NAIVE_SAMPLES = 16_384  # a sample costs some 50 us forward and backward: beyond this a call takes seconds
KERNELS = {"cpu": "lossimpl.kernels.cpp", "cuda": "lossimpl.kernels.triton"}
FUSED = (  # the losses that both have kernels for
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
    "huber_loss",
    "log_cosh_loss",
    "triplet_margin_loss",
)
FAILED: dict[str, str] = {}  # entry point -> first line of the error that it raised

_LOSSES: dict[str, Loss] = {}
LOSSES: MappingProxyType[str, Loss] = MappingProxyType(_LOSSES)


def get(name: str) -> Loss:
    """The loss of that name; ValueError names those that exist."""
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}: it must be one of {', '.join(LOSSES)}")
    return LOSSES[name]


def function(name: str, implementation: str, device: str) -> Function:
    """The raw function of a named implementation; Unavailable says why it cannot run here."""
    loss = get(name)
    if implementation not in loss.implementations:
        raise ValueError(
            f"unknown implementation {implementation!r} of {name}: it must be 'auto' or one of "
            f"{', '.join(loss.implementations)}"
        )
    reason = loss.implementations[implementation].available(device)
    if reason is not None:
        raise Unavailable(f"{implementation} of {name} on {device}: {reason}")
    return loss.implementations[implementation].load(device)


def register(
    loss: str,
    name: str,
    function: Function,
    devices: Iterable[str] = ("cpu", "cuda"),
    *,
    available: Callable[[str], str | None] | None = None,
    serves: Callable[[Case], str | None] = serves_all,
) -> None:
    """Add an implementation of a loss, which then appears in every table, check, benchmark and page.

    `function` has the loss's own signature; it may raise `Unavailable` for a call that it does not serve. `devices` are
    the device types it runs on; `available` may give a further reason why it cannot run on one. Raises ValueError for
    an unknown loss or device, one of our names, or a name that is taken, and TypeError for what cannot be called.

    >>> import lossimpl
    >>> lossimpl.register("mse_loss", "doctest", lambda input, target, **options: (input - target).square().mean())
    >>> lossimpl.get("mse_loss").available("cpu")["doctest"] is None
    True
    >>> _ = lossimpl.get("mse_loss").implementations.pop("doctest")
    """
    known = get(loss).implementations
    served = tuple(devices)
    if not callable(function):
        raise TypeError(f"function must be callable, got {function!r}")
    if name in (*OURS, "torch", "auto", *known):
        raise ValueError(f"name {name!r} is taken for {loss}: choose one outside {', '.join((*OURS, 'auto', *known))}")
    for device in served:
        if device not in DEVICES:
            raise ValueError(f"devices holds {device!r}: allowed are {', '.join(DEVICES)}")

    def why_not(device: str) -> str | None:
        if device not in served:
            return f"{name} serves {', '.join(served)} only"
        return torch_runs_on(device) or (available(device) if available else None)

    known[name] = Implementation(name, always(function), why_not, serves, served)


def register_loss(loss: Loss) -> None:
    """Add a loss of your own: with an oracle, a check, makers and at least one implementation.

    Its `shapes` give it the right weights, tolerances and defaults wherever they are asked for. Raises ValueError for a
    name that is taken, or for a loss without an implementation.
    """
    if loss.name in LOSSES:
        raise ValueError(f"loss {loss.name!r} exists already")
    if not loss.implementations:
        raise ValueError(f"loss {loss.name!r} has no implementation: give it at least one")
    _LOSSES[loss.name] = loss


def add_maker(loss: str, name: str, maker: Function) -> None:
    """Add a way to make inputs of a loss, or replace the one of that name."""
    _LOSSES[loss] = replace(get(loss), makers={**get(loss).makers, name: maker})


def torch_runs_on(device: str) -> str | None:
    """Why torch cannot use this device type here, or None; other devices than CUDA have tensors only where it can."""
    if device == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return None


def naive_serves(case: Case) -> str | None:
    """Why the sample-by-sample form would take too long for this case, or None."""
    samples = case.shape[0] if case.shape else 1
    if samples > NAIVE_SAMPLES:
        return f"naive goes sample by sample: {samples} samples exceed {NAIVE_SAMPLES}, a call would take seconds"
    return None


def native_available(device: str) -> str | None:
    """Why the fused kernels cannot run on this device type here, or None."""
    if device not in KERNELS:
        return f"native has kernels for {' and '.join(KERNELS)} only, not for {device}"
    reason = torch_runs_on(device)
    if reason is not None:
        return reason
    try:
        kernels = importlib.import_module(KERNELS[device])
    except ImportError as error:
        return f"native needs {error.name or error}, which cannot be imported here"
    found: str | None = kernels.available()
    return found


def native(loss: str) -> Implementation:
    """Our fused kernels: C++ on CPU, Triton on CUDA, imported only when asked for."""

    def load(device: str) -> Function:
        try:
            function: Function = importlib.import_module(KERNELS[device]).load(loss)
        except OSError as error:  # a cache that cannot be written, a library that cannot be loaded
            raise Unavailable(f"native cannot be built or loaded: {error}") from error
        return function

    return Implementation("native", load, native_available)


def always(function: Function) -> Function:
    """A loader that returns this function for every device type."""
    return lambda device: function


def add_ours(module: ModuleType) -> None:
    """Add the module's loss with our implementations, in the order in which tables show them."""
    loss: Loss = module.LOSS
    compile_once = cache(lambda device: compiled(module.vectorized))
    found = [
        Implementation("naive", always(module.naive), torch_runs_on, naive_serves),
        Implementation("vectorized", always(module.vectorized), torch_runs_on),
        Implementation("compiled", compile_once, torch_runs_on),
        *([native(loss.name)] if loss.name in FUSED else []),
    ]
    if hasattr(module, "framework"):
        found.insert(3, Implementation("torch", always(module.framework), torch_runs_on))
    loss.implementations.update({one.name: one for one in found})
    _LOSSES[loss.name] = loss


def load_entry_points() -> None:
    """Call every entry point of the group; an error is kept in FAILED."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()()
        except Exception as error:  # a plug-in may raise anything, and must not take the suite down
            FAILED[entry.name] = f"{type(error).__name__}: {error}".splitlines()[0]


for _module in MODULES:
    add_ours(_module)
for _peer in PEERS:
    register(_peer.loss, _peer.name, _peer.function, _peer.devices, available=_peer.available)
load_entry_points()  # last, since a plug-in may import this module
