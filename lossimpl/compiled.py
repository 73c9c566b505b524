"""`compiled`: torch.compile as a transform over `vectorized`; no code per loss."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from lossimpl.spec import Function

# A process may ask one loss for many shapes, dtypes and options; torch's default of 8 counts them all together.
RECOMPILES = 1024


def compiled(vectorized: Function) -> Function:
    """Compile without graph breaks. The first call for a kind of input costs seconds; later ones reuse its code."""
    options: dict[str, Any] = {"fullgraph": True}
    if "recompile_limit" in inspect.signature(torch.compile).parameters:
        options["recompile_limit"] = RECOMPILES
    return torch.compile(vectorized, **options)
