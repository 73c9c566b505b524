"""Native CPU kernels: fused losses in C++, built on first use, registered as torch operators `lossimpl::<loss>`.

builder.py      finds the compiler, builds the shared library and caches it
functions.py    the operators' schemas, derived from the losses' signatures, and the table of their functions
fakes.py        shapes of the results, for torch.compile
csrc/           kernels (without torch, one object file per instruction set) and operators (torch, autograd)
"""

from __future__ import annotations

import importlib
from functools import cache

import torch

from lossimpl.kernels.contract import checked
from lossimpl.kernels.cpp import builder
from lossimpl.spec import Function


def available() -> str | None:
    """Why the kernels cannot run here, or None. Builds nothing."""
    path = builder.library()
    return None if builder.intact(path) else builder.obstacle() or builder.FAILED.get(path)


@cache
def load_library() -> None:
    """Load the library, after building it if necessary, and register the fake kernels."""
    from lossimpl.kernels.cpp import fakes

    torch.ops.load_library(str(builder.build()))  # type: ignore[no-untyped-call]  # torch's is untyped
    fakes.register()


@cache
def load(name: str) -> Function:
    """The native function of a loss, with the loss's own signature. Raises Unavailable if it cannot be built."""
    load_library()
    functions = importlib.import_module("lossimpl.kernels.cpp.functions")
    return checked(functions.FUNCTIONS[name], name)
