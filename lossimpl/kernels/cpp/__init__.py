"""Native CPU kernels: fused losses in C++, built on first use, registered as torch operators `lossimpl::<loss>`.

builder.py      finds the compiler, builds the shared library and caches it
functions.py    the table of the functions that call the operators (their schemas: lossimpl/operators.py)
formulas.py     what serves the operators where the kernels do not: derivatives of other orders, transforms, devices
fakes.py        shapes of the results, for torch.compile
csrc/           kernels (without torch, one object file per instruction set) and operators (torch, autograd)
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch

from lossimpl.kernels.contract import checked
from lossimpl.kernels.cpp import builder
from lossimpl.losses._checks import is_dense
from lossimpl.spec import Function, Unavailable


def available() -> str | None:
    """Why the kernels cannot run here, or None. Builds nothing."""
    path = builder.library()
    return None if builder.intact(path) else builder.obstacle() or builder.FAILED.get(path)


@cache
def load_library() -> None:
    """Load the library, after building it if necessary, and register the fake kernels and the decompositions."""
    fakes, formulas = (importlib.import_module(f"{__name__}.{name}") for name in ("fakes", "formulas"))

    torch.ops.load_library(str(builder.build()))  # type: ignore[no-untyped-call]  # torch's is untyped
    fakes.register()
    formulas.register_decompositions()


def has_kernels(arguments: Iterable[Any]) -> bool:
    """Whether the kernels serve these arguments: dense tensors on the CPU, and a library that is loaded or can be."""
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    if not all(one.device.type == "cpu" and is_dense(one) for one in tensors):
        return False
    try:
        load_library()
    except (Unavailable, OSError):
        return False
    return True


@cache
def load(name: str) -> Function:
    """The native function of a loss, with the loss's own signature. Raises Unavailable if it cannot be built."""
    load_library()
    functions = importlib.import_module("lossimpl.kernels.cpp.functions")
    return checked(functions.FUNCTIONS[name], name)
