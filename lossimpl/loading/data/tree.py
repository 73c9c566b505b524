"""The parts of a sample or a batch, with their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

DEEPEST = 50  # containers in one another; torch's collate gives up at about ten times as many
CONTAINERS = (Mapping, list, tuple)


@dataclass(frozen=True)
class Cut:
    """Stands for a part that is not entered, and says why."""

    reason: str


def walk(
    value: Any, path: str = "", enter: tuple[type, ...] = CONTAINERS, above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """The value and all that it holds, each with its path, a container before its parts.

    Only values of the types in `enter` are entered; with `object` among them, the attributes of objects are parts too.
    `above` are the ids of the containers around the value: one that holds itself, or lies too deep, is a `Cut`.

    >>> [path for path, _ in walk({"image": (1, 2)}, "sample")]
    ['sample', "sample['image']", "sample['image'][0]", "sample['image'][1]"]
    """
    if id(value) in above:
        yield path, Cut("a container that holds itself")
    elif len(above) > DEEPEST:
        yield path, Cut("nested too deeply")
    else:
        yield path, value
        for step, part in parts(value) if isinstance(value, enter) else ():
            yield from walk(part, path + step, enter, (*above, id(value)))


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds directly, each with the last step of its path."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif not isinstance(value, type | ModuleType):
        yield from ((f".{name}", item) for name, item in getattr(value, "__dict__", {}).items())
