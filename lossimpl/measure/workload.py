"""The call that is timed: what users pay for one case.

forward   inputs that need no gradient, one call
step      inputs that need one, one call, backward; results and gradients are allocated afresh each time and dropped
          after it, as a training loop does with `set_to_none`
reuse     a step while malloc keeps freed memory, so that every implementation writes into pages that it has written
          before; on CUDA the same as a step, because torch's allocator there always keeps it
backward  the backward pass alone, again and again over one kept graph
graph     a step recorded once as a CUDA graph and replayed, without the host's share of the time
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lossimpl.measure import allocator
from lossimpl.spec import MODES, Case, Function, Loss, Unavailable

if TYPE_CHECKING:
    import torch

AFRESH = "results and gradients allocated afresh in every call"
MADE = {
    "reuse": "results and gradients in memory that malloc kept",
    "graph": "recorded once as a CUDA graph and replayed, into the graph's own memory",
}


@dataclass(frozen=True)
class Inputs:
    """What a loss is called with: its tensors in the order of the arguments, and its options."""

    tensors: tuple[torch.Tensor, ...]
    options: dict[str, Any]


def inputs_of(loss: Loss, case: Case) -> Inputs:
    """The seeded inputs of `case`; the differentiable ones ask for a gradient unless the mode is forward.

    Cases that follow each other and differ in their mode only share the numbers, which take longer to draw than a call.
    """
    named = dict(drawn(replace(case, mode="step")))
    tensors = tuple(named.pop(name).detach() for name in loss.tensors)
    for name, tensor in zip(loss.tensors, tensors, strict=True):
        tensor.requires_grad_(case.mode != "forward" and name in loss.differentiable)
    return Inputs(tensors, named)


@lru_cache(maxsize=1)
def drawn(case: Case) -> dict[str, Any]:
    """The tensors and options of a case by the name of the argument."""
    from lossimpl import inputs

    return inputs.make(case)


def prepare(function: Function, given: Inputs, mode: str) -> Callable[[], object]:
    """The call without arguments that does the work of `mode`.

    A result that is not reduced is taken backward from its sum. Raises ValueError for a mode that does not exist,
    Unavailable for one that the device does not have.
    """
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
    on_cuda = any(tensor.is_cuda for tensor in given.tensors)
    if mode == "graph" and not on_cuda:
        raise Unavailable("mode 'graph' needs CUDA: only CUDA records graphs")

    def forward() -> Any:
        return function(*given.tensors, **given.options)

    leaves = [tensor for tensor in given.tensors if tensor.requires_grad]
    if mode == "forward":
        return forward
    if mode == "reuse" and not on_cuda:
        allocator.keep_freed()
    if mode in ("step", "reuse", "graph"):
        upstream = ones_like(forward())
        return lambda: backward(forward(), upstream, leaves)
    kept = with_kept_buffers(forward)
    upstream = ones_like(kept)
    return lambda: backward(kept, upstream, leaves, keep=True)


def with_kept_buffers(forward: Callable[[], Any]) -> Any:
    """Call `forward` so that its backward pass can run more than once.

    torch.compile reuses the memory of what was saved for backward, and then refuses a second pass over it.
    """
    if "torch._dynamo" not in sys.modules:
        return forward()
    import torch._functorch.config

    forget_compiled()
    with torch._functorch.config.patch(donated_buffer=False):
        return forward()


def forget_compiled() -> None:
    """Drop what torch.compile made so far, so that the next call is compiled for its own shape and settings.

    After a second shape it would compile for any shape, which is slower.
    """
    if "torch._dynamo" in sys.modules:
        import torch

        torch.compiler.reset()


def ones_like(result: torch.Tensor) -> torch.Tensor | None:
    """The gradient of the sum of `result`: ones without memory of their own, or None for a number."""
    return None if result.ndim == 0 else result.new_ones(()).expand_as(result)


def backward(
    result: torch.Tensor, upstream: torch.Tensor | None, leaves: list[torch.Tensor], keep: bool = False
) -> None:
    """Run backward from `result` with the gradient `upstream`, then drop the gradients of `leaves`."""
    import torch

    torch.autograd.backward(result, upstream, retain_graph=keep)
    for leaf in leaves:
        leaf.grad = None
