"""`compiled`: torch.compile as a transform over `vectorized`; no code per loss."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from lossimpl.arguments import has_tangent
from lossimpl.spec import Function, Unavailable

# A process may ask one loss for many shapes, dtypes and options; torch's default of 8 counts them all together.
RECOMPILES = 1024


def compiled(vectorized: Function) -> Function:
    """Compile without graph breaks. The first call for a kind of input costs seconds; later ones reuse its code."""
    options: dict[str, Any] = {"fullgraph": True}
    if "recompile_limit" in inspect.signature(torch.compile).parameters:
        options["recompile_limit"] = RECOMPILES
    code = torch.compile(vectorized, **options)

    def compiled_loss(*arguments: Any, **named: Any) -> Any:
        if not torch.compiler.is_compiling() and any(map(has_tangent, (*arguments, *named.values()))):
            raise Unavailable("compiled has no forward-mode derivative: compiled code would drop the tangents")
        return code(*arguments, **named)

    return compiled_loss
