"""Implementations from outside: the entry-point group `lossimpl.implementations`, and `register`.

They are loaded when this module is first imported, which `lossimpl.registry` does once it is complete. An entry point
is a function without arguments that calls `register`, or `register_loss` for a loss of its own. One that fails to load
is kept with its reason (`FAILED`), so that it stays visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points

from lossimpl import registry
from lossimpl.spec import DEVICES, Case, Function, Implementation, Loss, serves_all

GROUP = "lossimpl.implementations"
OURS = ("naive", "vectorized", "compiled", "torch", "native", "auto")
FAILED: dict[str, str] = {}  # entry point -> first line of what it raised


def register(
    loss: str,
    name: str,
    function: Function,
    devices: Iterable[str] = ("cpu", "cuda"),
    *,
    available: Callable[[str], str | None] | None = None,
    serves: Callable[[Case], str | None] = serves_all,
) -> None:
    """Add an implementation of a loss, which then appears in every table, check, benchmark and page.

    `function` has the loss's own signature; it may raise `Unavailable` for a call that it does not serve. `devices` are
    the device types it runs on; `available` may give a further reason why it cannot run on one. Raises ValueError for
    an unknown loss or device, a name of ours, or a name that is taken, and TypeError for what cannot be called.

    >>> import lossimpl
    >>> lossimpl.register("mse_loss", "doctest", lambda input, target, **options: (input - target).square().mean())
    >>> lossimpl.get("mse_loss").available("cpu")["doctest"] is None
    True
    >>> _ = lossimpl.get("mse_loss").implementations.pop("doctest")
    """
    known = registry.get(loss).implementations
    served = tuple(devices)
    if not callable(function):
        raise TypeError(f"function must be callable, got {function!r}")
    if name in OURS or name in known:
        raise ValueError(f"name {name!r} is taken for {loss}: choose one outside {', '.join((*OURS, *known))}")
    for device in served:
        if device not in DEVICES:
            raise ValueError(f"devices holds {device!r}: allowed are {', '.join(DEVICES)}")

    def why_not(device: str) -> str | None:
        if device not in served:
            return f"{name} serves {', '.join(served)} only"
        return registry.torch_runs_on(device) or (available(device) if available else None)

    known[name] = Implementation(name, registry.always(function), why_not, serves)


def register_loss(loss: Loss) -> None:
    """Add a loss of one's own. It needs an oracle, a check, makers and at least one implementation."""
    if loss.name in registry.LOSSES:
        raise ValueError(f"loss {loss.name!r} exists already")
    if not loss.implementations:
        raise ValueError(f"loss {loss.name!r} has no implementation: give it at least one")
    registry.add(loss)


def load_entry_points() -> None:
    """Call every entry point of the group; what fails is noted in FAILED."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()()
        except Exception as error:  # a stranger's code may raise anything, and must not take the suite down
            FAILED[entry.name] = f"{type(error).__name__}: {error}".splitlines()[0]


load_entry_points()
