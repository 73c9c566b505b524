"""Losses of DTensors, torch's distributed tensors: computed by `vectorized`, whose operations torch knows to shard.

torch's own loss operators give wrong numbers there, as of torch 2.13: the gradient of a mean over shards is too large
by their number (mean squared error, Huber, binary cross entropy), and the mean of a cross entropy over shards of rows
averages the shards whatever they ignore or weigh. The kernels have no sharding rule at all.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

from torch import Tensor

from lossimpl import registry
from lossimpl.spec import OURS, TORCH_COMPILED, Function, Unavailable

MODULE = "torch.distributed.tensor"


def is_distributed(value: Any) -> bool:
    """Whether a value is a DTensor; where torch's module is not imported there are none."""
    return MODULE in sys.modules and isinstance(value, sys.modules[MODULE].DTensor)


def function(name: str, implementation: str, undistributed: Function) -> Function:
    """What computes the loss of DTensors; Unavailable for one of our implementations that gives wrong numbers or none.

    Implementations and losses of plug-ins get DTensors as they get any other tensors.
    """
    known = registry.get(name).implementations
    if implementation not in ("auto", "torch", TORCH_COMPILED, *OURS) or "vectorized" not in known:
        return undistributed
    if implementation not in ("auto", "vectorized"):
        raise Unavailable(f"{implementation} of {name} does not serve DTensors: implementation='vectorized' does")
    return partial(replicating, name, registry.function(name, "vectorized", "cpu"))


def replicating(name: str, vectorized: Function, *arguments: Any) -> Tensor:
    """The loss, with the constants that `vectorized` makes taken for the same on every rank."""
    allowed = sys.modules[MODULE].DTensor._op_dispatcher._allow_implicit_replication
    if not allowed and any(isinstance(one, Tensor) and not is_distributed(one) for one in arguments):
        raise RuntimeError(f"{name} got both DTensors and plain tensors: distribute all of them, or none")
    with importlib.import_module(f"{MODULE}.experimental").implicit_replication():
        result: Tensor = vectorized(*arguments)
    return result
