"""Native CPU kernels: all losses fused in C++, built on first use, registered as torch operators `lossimpl::<loss>`.

builder.py      finds the compiler, builds the shared library once, keeps it in the cache
functions.py    the operators' schemas, derived from the losses' signatures, and the table of their functions
fakes.py        shapes of results, for torch.compile
csrc/           kernels (no torch, one object an instruction set) and operators (torch, autograd)
"""

from __future__ import annotations

import importlib
from functools import cache

import torch

from lossimpl.kernels.contract import checked
from lossimpl.kernels.cpp import builder
from lossimpl.spec import Function


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


@cache
def load(name: str) -> Function:
    """The native function of a loss, with the loss's own signature; Unavailable says why it cannot be had."""
    load_library()
    functions = importlib.import_module("lossimpl.kernels.cpp.functions")
    return checked(functions.FUNCTIONS[name], name)
