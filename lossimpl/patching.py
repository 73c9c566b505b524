"""`patch`: torch's own loss functions replaced by ours, for code that calls `torch.nn.functional` or `torch.nn`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import torch
from torch.nn import functional as torch_functional

from lossimpl import functional, registry
from lossimpl.spec import Function

REPLACED = tuple(name for name in registry.LOSSES if hasattr(torch_functional, name) and hasattr(functional, name))


def patch(implementation: str = "auto") -> Patch:
    """Replace torch's loss functions by ours, in `torch.nn.functional` and so in the modules of `torch.nn` as well.

    The replacement is in force from the call on, until `undo()` or the end of a `with` block. Arguments are those of
    torch, the deprecated `size_average` and `reduce` included. Names that other modules imported from
    `torch.nn.functional` before the call stay torch's, as do `implementation="torch"` and what `torch.jit.script`
    compiles.
    Raises: ValueError for an implementation that one of these losses lacks.

    >>> import torch
    >>> with patch(implementation="vectorized"):
    ...     torch.nn.MSELoss()(torch.ones(2), torch.zeros(2))
    tensor(1.)
    """
    for name in REPLACED:
        known = ("auto", *registry.get(name).implementations)
        if implementation not in known:
            raise ValueError(f"implementation {implementation!r}: for {name} it must be one of {', '.join(known)}")
    return Patch(implementation)


class Patch(AbstractContextManager["Patch"]):
    """A replacement of torch's loss functions that is in force until it is undone."""

    def __init__(self, implementation: str) -> None:
        self.before: dict[str, Function] = {name: getattr(torch_functional, name) for name in REPLACED}
        self.now = {name: replacement(name, before, implementation) for name, before in self.before.items()}
        for name, function in self.now.items():
            setattr(torch_functional, name, function)

    def undo(self) -> None:
        """Put back what was there before; RuntimeError if someone has replaced it since. A second call does nothing."""
        for name, function in self.now.items():
            if getattr(torch_functional, name) is not function:
                raise RuntimeError(f"torch.nn.functional.{name} was replaced again since: undo that first")
        for name in self.now:
            setattr(torch_functional, name, self.before[name])
        self.now = {}

    def __exit__(self, *_: object) -> None:
        """Undo the replacement."""
        self.undo()


def replacement(name: str, original: Function, implementation: str) -> Function:
    """Our function of that name: it has the parameters of torch's."""
    ours = getattr(functional, name)

    @wraps(original)
    def function(*arguments: Any, **options: Any) -> torch.Tensor:
        result: torch.Tensor = ours(*arguments, **options, implementation=implementation)
        return result

    function.__dict__.update(__script_if_tracing_wrapper=True, __original_fn=original)  # `torch.jit.script` takes this
    return function
