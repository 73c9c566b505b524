"""Importing a peer, with the reason in words when it fails: absent, or broken though installed."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from lossimpl.spec import Unavailable


@cache
def why_not(module: str) -> str | None:
    """Why the module cannot be imported here, or None."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # a broken build raises OSError, RuntimeError or anything else from its own code
        return f"{module} cannot be imported here: {type(error).__name__}: {error}".splitlines()[0]
    return None


def imported(module: str) -> ModuleType:
    """The module; Unavailable says why it cannot be had."""
    reason = why_not(module)
    if reason is not None:
        raise Unavailable(reason)
    return importlib.import_module(module)


def refuse(peer: str, **faults: bool) -> None:
    """Raise Unavailable for the first argument that the peer does not serve."""
    for name, unserved in faults.items():
        if unserved:
            raise Unavailable(f"{peer} does not serve {name.replace('_', ' ')}")
