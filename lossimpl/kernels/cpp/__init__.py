"""Native CPU kernels: all losses fused in C++, built on first use, registered as torch operators `lossimpl::<loss>`.

builder.py      finds the compiler, builds the shared library once, keeps it in the cache
functions.py    the eleven losses over the operators, with their public signatures
fakes.py        shapes of results, for torch.compile
csrc/           kernels (no torch, one object an instruction set) and operators (torch, autograd)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from lossimpl.kernels.cpp import builder


def available() -> str | None:
    """Why the kernels cannot run here, or None; builds nothing."""
    path = builder.library()
    return None if path.exists() else builder.obstacle() or builder.FAILED.get(path)


@cache
def load_library() -> None:
    """Build if need be, load, and register the shapes of results."""
    from lossimpl.kernels.cpp import fakes

    torch.ops.load_library(str(builder.build()))  # type: ignore[no-untyped-call]  # torch's is untyped
    fakes.register()


def load(name: str) -> Callable[..., Any]:
    """The native function of a loss, with the loss's own signature; Unavailable says why it cannot be had."""
    load_library()
    functions = importlib.import_module("lossimpl.kernels.cpp.functions")
    function: Callable[..., Any] = functions.FUNCTIONS[name]
    return function
