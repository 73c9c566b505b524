"""The attributes of an object and all that they hold, each value with its path."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import torch

from lossimpl.loading.data.tree import parts

DEEPEST = 6
ITEMS = 64  # of a container; the rest is assumed to be like the first
ATOMS = (str, bytes, bytearray, int, float, complex, bool, type(None), np.ndarray, torch.Tensor, type, ModuleType)


def children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What an object holds, with the path of each part: attributes, items, arguments and closure of a function."""
    if isinstance(value, ATOMS):
        return
    if isinstance(value, dict | list | tuple):
        yield from ((path + step, item) for step, item in islice(parts(value), ITEMS))
        return
    if isinstance(value, set | frozenset):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(islice(value, ITEMS)))
        return
    if isinstance(value, functools.partial):
        yield from ((f"{path}.func", value.func), (f"{path}.args", value.args), (f"{path}.keywords", value.keywords))
    names = getattr(value, "__code__", None)
    for name, cell in zip(names.co_freevars if names else (), getattr(value, "__closure__", None) or (), strict=False):
        yield f"{path}.<{name}>", cell.cell_contents
    for name, item in list(getattr(value, "__dict__", {}).items()):
        yield f"{path}.{name}", item
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield f"{path}.{name}", getattr(value, name)


def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The value and all that it holds, each object once, to a depth of `DEEPEST`."""
    seen: set[int] = set()
    waiting = [(path, value, 0)]
    while waiting:
        where, found, depth = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield where, found
        if depth < DEEPEST:
            waiting.extend((name, item, depth + 1) for name, item in children(found, where))
