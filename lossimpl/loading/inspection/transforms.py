"""Clocks around the transforms of a dataset, which may be the user's own in the middle of a training.

A clock stands in the place of a transform for a few samples. It answers everything but a call as the transform does
(`len`, iteration, attributes, `isinstance`), and is written into the instance's dictionary, so that no code of the
dataset runs when it is put there or taken away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from lossimpl.loading.data.objects import attributes
from lossimpl.measure.wall import now

TRANSFORM = re.compile("transform|augment|tfm|preproc")  # in the names of attributes that are called
OWN = ("inner", "fields", "name", "own", "seconds")
NOT_PASSED_ON = {  # how objects are made, looked up and removed
    *("__call__", "__class__", "__class_getitem__", "__del__", "__delattr__", "__get__", "__getattr__"),
    *("__getattribute__", "__init__", "__init_subclass__", "__new__", "__setattr__", "__subclasshook__"),
}


class Timed:
    """A transform that adds up the seconds spent in it; `put_back` makes the dataset as it was."""

    def __init__(self, inner: Callable[..., Any], fields: dict[str, Any], name: str) -> None:
        self.inner, self.seconds = inner, 0.0
        self.fields, self.name, self.own = fields, name, name in fields

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        started = now()
        try:
            return self.inner(*args, **kwargs)
        finally:
            self.seconds += now() - started

    def __getattr__(self, name: str) -> Any:
        if name in OWN:
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def put_back(self) -> None:
        """Give the dataset its transform back, or the method of its class, unless it has another one by now."""
        if self.fields.get(self.name) is not self:
            return
        if self.own:
            self.fields[self.name] = self.inner
        else:
            del self.fields[self.name]


def clock_around(inner: Callable[..., Any], fields: dict[str, Any], name: str) -> Timed:
    """A clock that has the special methods of what it times."""
    kind = type(inner)
    special = {each for one in kind.__mro__[:-1] for each, found in vars(one).items() if callable(found)}
    passed = {each: passing_on(each) for each in special - NOT_PASSED_ON if each.startswith("__")}
    clock: type[Timed] = type(kind.__name__, (Timed,), {**passed, "__class__": property(lambda self: kind)})
    return clock(inner, fields, name)


def passing_on(name: str) -> Callable[..., Any]:
    """A method that calls the one of that name of what is timed."""

    def method(self: Timed, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.inner, name)(*args, **kwargs)

    return method


def timed_transforms(dataset: Any) -> list[Timed]:
    """Put a clock around each transform of the dataset, and of a dataset inside it (Subset); return the clocks."""
    clocks: list[Timed] = []
    for _ in range(8):  # datasets inside datasets
        with suppress(Exception):  # an object without a dictionary keeps its transforms untimed
            fields = object.__getattribute__(dataset, "__dict__")
            for name, inner in list(transforms_of(dataset)):
                clocks.append(clock_around(inner, fields, name))
                fields[name] = clocks[-1]
        dataset = attributes(dataset).get("dataset")
    return clocks


def transforms_of(dataset: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The attributes and methods of a dataset that are transforms by their names; properties are not asked."""
    own = attributes(dataset)
    of_class = [pair for kind in type(dataset).__mro__[:-1] for pair in vars(kind).items()]
    methods = {name for name, found in of_class if is_method(found) and not name.startswith("_")}
    for name in sorted({*own, *methods}):
        if TRANSFORM.search(name.lower()) and not name.startswith("set"):
            found = own[name] if name in own else getattr(dataset, name)
            if callable(found) and not isinstance(found, type):
                yield name, found


def is_method(found: Any) -> bool:
    """Whether an attribute of a class is one of its methods."""
    return isinstance(found, staticmethod | classmethod) or (callable(found) and not hasattr(type(found), "__set__"))
