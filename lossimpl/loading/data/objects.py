"""The attributes of an object and all that they hold, each value with its path.

A user's object may raise whenever it is looked at (`__class__`, `__dict__`, `__len__`, any attribute), return other
objects each time, or hold millions of parts. So types are asked of `type(value)`, attributes are read from where
Python stores them, without calling the object's own code, every step is guarded, and the walk is bounded.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import re
import sys
from collections.abc import Iterator
from itertools import islice
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

DEEPEST = 6
CALLED = ("__call__", "__getitem__", "__getitems__", "__iter__", "__next__")
ITEMS = 64  # of a container; the rest is assumed to be like the first
MOST = 20_000  # objects in all
ATOMS = (
    *(str, bytes, bytearray, int, float, complex, bool, type(None), np.ndarray, torch.Tensor, type, ModuleType),
    *(logging.Logger, logging.Handler),  # whose locks are made anew after a fork
)
LIBRARY = re.compile(r"/(?:site|dist)-packages/|/lib/python3\.\d+/|^<")


def is_a(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """`isinstance` by the real type alone: `__class__` of a user's object may raise or lie."""
    return issubclass(type(value), kinds)


def attributes(value: Any) -> dict[str, Any]:
    """The attributes of an instance, empty where it has none or does not let itself be looked at."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:
        return {}
    return dict(found) if is_a(found, dict) else {}


def children(value: Any, path: str) -> list[tuple[str, Any]]:
    """What an object holds, with the path of each part: attributes, items, arguments and closure of a function, local
    variables of a generator. What raises while it is looked at is left out."""
    found: list[tuple[str, Any]] = []
    with contextlib.suppress(Exception):
        found.extend(parts_of(value, path))
    return found


def used_by(value: Any, path: str) -> list[tuple[str, Any]]:
    """As `children`, for what is shared with others."""
    found: list[tuple[str, Any]] = []
    with contextlib.suppress(Exception):
        found.extend(shared(value, path))
    return found


def parts_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """As `children`, until something raises."""
    if is_a(value, ATOMS):
        return
    if is_a(value, dict):
        yield from ((f"{path}[{key!r}]", item) for key, item in islice(dict.items(value), ITEMS))
    elif is_a(value, (list, tuple, set, frozenset, collections.deque)):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(islice(value, ITEMS)))
    elif is_a(value, (map, zip, filter, enumerate)):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value.__reduce__()[1]))
    elif is_a(value, functools.partial):
        yield from ((f"{path}.func", value.func), (f"{path}.args", value.args), (f"{path}.keywords", value.keywords))
    elif is_a(value, MethodType):
        yield f"{path}.__self__", value.__self__
    elif is_a(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            yield f"{path}.<{name}>", cell.cell_contents
    elif is_a(value, GeneratorType) and value.gi_frame is not None:
        yield from ((f"{path}.<{name}>", item) for name, item in value.gi_frame.f_locals.items())
    yield from ((f"{path}.{name}", item) for name, item in attributes(value).items())
    yield from slots(value, path)


def shared(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What an object uses beside its own attributes, in code of the user's: attributes of its class, and the global
    names of a function."""
    for kind in type(value).__mro__:
        if is_own(sys.modules.get(kind.__module__)):
            yield from ((f"{path}.{name}", item) for name, item in vars(kind).items() if not name.startswith("__"))
            yield from ((f"{path}.{name}", vars(kind)[name]) for name in CALLED if name in vars(kind))
    if is_a(value, FunctionType) and not LIBRARY.search(value.__code__.co_filename):
        used = (name for name in value.__code__.co_names if name in value.__globals__)
        yield from ((f"{value.__module__}.{name}", value.__globals__[name]) for name in used)


def is_own(module: Any) -> bool:
    """Whether a module is a file of the user's."""
    file = attributes(module).get("__file__")
    return isinstance(file, str) and not LIBRARY.search(file)


def slots(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values in the slots of an object."""
    for kind in type(value).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else tuple(names):
            try:
                yield f"{path}.{name}", object.__getattribute__(value, name)
            except Exception:  # an empty slot, or one that must not be read
                continue


def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The value and all that it holds, each object once, to a depth of `DEEPEST` and `MOST` objects in all.

    >>> [path for path, _ in walk({"transform": [1]}, "dataset")]
    ['dataset', "dataset['transform']", "dataset['transform'][0]"]
    """
    kept: dict[int, Any] = {}  # holds what it has seen, so that no new object gets an old one's id
    waiting = [(path, value, 0)]
    for where, found, depth in waiting:
        if id(found) in kept:
            continue
        kept[id(found)] = found
        yield where, found
        if len(kept) >= MOST:
            return
        if depth < DEEPEST:
            waiting.extend((name, item, depth + 1) for name, item in [*children(found, where), *used_by(found, where)])
