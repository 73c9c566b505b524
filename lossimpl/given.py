"""What a user gives to be compared: names, shapes, options as NAME=VALUE, tensors from a file or a function.

Every error is a ValueError that names the argument, its value and what is allowed.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from lossimpl import registry
from lossimpl.inputs import GIVEN, RANDOM, Given, make
from lossimpl.spec import DTYPES, MODES, Case, Loss, Shape

REDUCTION = "reduction"
TRUTHS = {"true": True, "false": False}


def implementations(loss: Loss, names: Iterable[str]) -> list[str]:
    """The implementations named, each once; ValueError names those that exist."""
    found = list(dict.fromkeys(names))
    for name in found:
        if name not in loss.implementations:
            raise ValueError(f"--implementation {name!r}: {loss.name} has {', '.join(loss.implementations)}")
    return found


def dtypes(names: Iterable[str]) -> list[str]:
    """The types named, each once; ValueError names those that exist."""
    found = list(dict.fromkeys(names))
    for name in found:
        if name not in DTYPES:
            raise ValueError(f"--dtype {name!r}: it must be one of {', '.join(DTYPES)}")
    return found


def shape_of(loss: Loss, text: str) -> Shape:
    """The shape as the option gives it, or the default of the loss.

    >>> shape_of(registry.get("mse_loss"), "32x10")
    (32, 10)
    """
    if not text:
        return loss.shapes.default
    sizes = text.split("x")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ValueError(f"--shape {text!r}: it must be positive numbers joined by x, such as 512x32000")
    if len(sizes) < loss.shapes.least_dimensions:
        example = "x".join(map(str, loss.shapes.default))
        raise ValueError(
            f"--shape {text!r}: {loss.name} needs {loss.shapes.least_dimensions} dimensions, such as {example}"
        )
    return tuple(map(int, sizes))


def option_types(loss: Loss) -> dict[str, tuple[type, ...]]:
    """The options of the loss besides `reduction`, with the types that they may have.

    >>> sorted(option_types(registry.get("cross_entropy")))
    ['ignore_index', 'label_smoothing', 'weight']
    """
    parameters = inspect.signature(loss.check, eval_str=True).parameters
    return {
        name: get_args(one.annotation) or (one.annotation,)
        for name, one in parameters.items()
        if name not in (*loss.tensors, REDUCTION)
    }


def options_of(loss: Loss, texts: Sequence[str]) -> dict[str, Any]:
    """The options of the loss from NAME=VALUE; for weights the value is `random`.

    >>> options_of(registry.get("cross_entropy"), ["label_smoothing=0.1", "weight=random"])
    {'label_smoothing': 0.1, 'weight': 'random'}
    """
    known, found = option_types(loss), dict[str, Any]()
    for text in texts:
        name, equals, value = text.partition("=")
        if name == REDUCTION:
            raise ValueError(f"--option {text}: the reduction is set by --reduction")
        if not equals or name not in known:
            allowed = ", ".join(f"{one}=..." for one in known) or "nothing: it has no further options"
            raise ValueError(f"--option {text}: {loss.name} takes {allowed}")
        if name in found:
            raise ValueError(f"--option {text}: {name} is given twice")
        found[name] = value_of(text, value, known[name])
    return found


def value_of(text: str, value: str, types: tuple[type, ...]) -> Any:
    """The value of an option as one of its types."""
    if type(None) in types and value.lower() == "none":
        return None
    if Tensor in types and value == RANDOM:
        return RANDOM
    try:
        if bool in types:
            return TRUTHS[value.lower()]
        if int in types:
            return int(value)
        if float in types:
            return float(value)
    except (KeyError, ValueError):
        pass
    raise ValueError(f"--option {text}: it must be {' or '.join(_words(types))}")


def _words(types: tuple[type, ...]) -> list[str]:
    words = {bool: "true or false", int: "a whole number", float: "a number", type(None): "none"}
    words |= {Tensor: "random (one positive weight per class or element; --inputs takes your own)"}
    return [words[one] for one in types if one in words]


def load(source: str, loss: Loss) -> dict[str, Tensor]:
    """The tensors of a `.pt` or `.npz` file, neither of which may hold code, or of a function as `module:function`.

    They come as a dictionary by the names of the arguments, or in their order.
    """
    try:
        found = _from_function(source) if ":" in source else _from_file(Path(source))
    except Exception as error:  # a file may be anything, and a user's function may raise anything
        raise ValueError(f"--inputs {source}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    if not isinstance(found, Mapping):
        found = dict(zip(loss.tensors, [found] if isinstance(found, Tensor) else found, strict=False))
    tensors = {name: torch.as_tensor(one) for name, one in found.items()}
    allowed = [*loss.tensors, *(name for name, types in option_types(loss).items() if Tensor in types)]
    for name in tensors:
        if name not in allowed:
            raise ValueError(f"--inputs {source}: it has {name!r}; {loss.name} takes {', '.join(allowed)}")
    for name in loss.tensors:
        if name not in tensors:
            raise ValueError(f"--inputs {source}: it lacks {name!r}; it has {', '.join(tensors) or 'nothing'}")
    return tensors


def _from_file(path: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if path.suffix in (".pt", ".pth"):
        return torch.load(path, weights_only=True, map_location="cpu")
    raise ValueError("it must be a .pt, .pth or .npz file, or module:function")


def _from_function(source: str) -> Any:
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name)()


def case_of_tensors(
    loss: Loss,
    tensors: Sequence[Tensor] | Mapping[str, Tensor],
    mode: str,
    options: Mapping[str, Any],
    device: str = "",
) -> tuple[Case, dict[str, Tensor]]:
    """The case of the user's tensors, and all of them by name; without tensors the loss's default case.

    Raises ValueError for what the loss refuses, in its own words.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: it must be one of {', '.join(MODES)}")
    named = dict(tensors) if isinstance(tensors, Mapping) else dict(zip(loss.tensors, tensors, strict=False))
    held = named | {name: value for name, value in options.items() if isinstance(value, Tensor)}
    plain = {name: GIVEN if name in held else value for name, value in options.items()}
    plain |= {name: GIVEN for name in held if name not in loss.tensors}
    if not tensors and held:
        raise ValueError(f"{next(iter(held))} is a tensor: give {', '.join(loss.tensors)} too")
    if not tensors:
        return drawn(Case(loss.name, loss.shapes.default, mode=mode, options=tuple(sorted(plain.items())))), {}
    if len(named) < len(loss.tensors) or len(tensors) > len(named):
        raise ValueError(f"tensors: {loss.name} takes {', '.join(loss.tensors)}, got {len(tensors)}")
    _require_accepted(loss, {**named, **options, **{name: held[name] for name in plain if name in held}})
    first = named[loss.tensors[0]]
    dtype = str(first.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ValueError(f"{loss.tensors[0]} has dtype {dtype}: it must be one of {', '.join(DTYPES)}")
    where = device or first.device.type
    return Case(loss.name, tuple(first.shape), dtype, where, mode, tuple(sorted(plain.items())), GIVEN), held


def drawn(case: Case) -> Case:
    """The case itself, whose inputs are drawn; ValueError if the loss refuses its options, tried on one row."""
    loss = registry.get(case.loss)
    if case.maker not in loss.makers:
        raise ValueError(f"--maker {case.maker!r}: it must be one of {', '.join(loss.makers)}")
    _require_accepted(loss, make(replace(case, shape=(1, *case.shape[1:]), device="cpu")))
    return case


def _require_accepted(loss: Loss, arguments: Mapping[str, Any]) -> None:
    try:
        loss.check(**arguments)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise ValueError(f"{loss.name} refuses these arguments: {error}") from error


def add_maker(loss: str, tensors: Mapping[str, Tensor]) -> None:
    """Make the user's tensors the inputs of cases of the loss whose maker is `given`, in this process."""
    registry.add_maker(loss, GIVEN, Given(loss, tensors))
