"""LOSSES: every loss with its implementations, assembled from the rooms, the kernels and the plug-ins."""

from __future__ import annotations

import importlib
from functools import cache
from types import MappingProxyType, ModuleType

import torch

from lossimpl.compiled import compiled
from lossimpl.losses import ROOMS
from lossimpl.spec import DEVICES, Case, Function, Implementation, Loss, Unavailable

NAIVE_SAMPLES = 16_384  # a sample costs some 50 us forward and backward: beyond this a call takes seconds
KERNELS = {"cpu": "lossimpl.kernels.cpp", "cuda": "lossimpl.kernels.triton"}


def torch_runs_on(device: str) -> str | None:
    """Why torch cannot use this device type here, or None."""
    if device not in DEVICES:
        return f"device type {device!r} is not served: it must be one of {', '.join(DEVICES)}"
    if device == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return None


def naive_serves(case: Case) -> str | None:
    """Why nobody should wait for the sample-by-sample form of this case, or None."""
    samples = case.shape[0] if case.shape else 1
    if samples > NAIVE_SAMPLES:
        return f"naive walks sample by sample: {samples} samples exceed {NAIVE_SAMPLES}, a call would take seconds"
    return None


def native_available(device: str) -> str | None:
    """Why the fused kernels cannot run on this device type here, or None."""
    reason = torch_runs_on(device)
    if reason is not None:
        return reason
    try:
        kernels = importlib.import_module(KERNELS[device])
    except ImportError as error:
        return f"native needs {error.name or error}, which cannot be imported here"
    found: str | None = kernels.available()
    return found


def native_loader(name: str) -> Implementation:
    """Our fused kernels: C++ on CPU, Triton on CUDA, imported only when asked for."""

    def load(device: str) -> Function:
        try:
            function: Function = importlib.import_module(KERNELS[device]).load(name)
        except OSError as error:  # a cache that cannot be written, a library that cannot be loaded
            raise Unavailable(f"native cannot be built or loaded: {error}") from error
        except KeyError as error:
            raise Unavailable(f"native has no kernel for {name}") from error
        return function

    return Implementation("native", load, native_available)


def always(function: Function) -> Function:
    """A loader that has its function at hand."""
    return lambda device: function


def assemble(room: ModuleType) -> Loss:
    """The room's loss with our implementations, in the order in which tables show them."""
    loss: Loss = room.LOSS
    compile_once = cache(lambda device: compiled(room.vectorized))
    found = [
        Implementation("naive", always(room.naive), torch_runs_on, naive_serves),
        Implementation("vectorized", always(room.vectorized), torch_runs_on),
        Implementation("compiled", compile_once, torch_runs_on),
        native_loader(loss.name),
    ]
    if hasattr(room, "framework"):
        found.insert(3, Implementation("torch", always(room.framework), torch_runs_on))
    loss.implementations.update({one.name: one for one in found})
    return loss


_LOSSES = {room.LOSS.name: assemble(room) for room in ROOMS}
LOSSES: MappingProxyType[str, Loss] = MappingProxyType(_LOSSES)


def add(loss: Loss) -> None:
    """Append a loss from outside."""
    _LOSSES[loss.name] = loss


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


importlib.import_module("lossimpl.plugins")  # last, since plug-ins register with what stands above
