"""What in a sample a loader cannot join, send or copy, by its path: looked for once, told where a failure names no
place of the user's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

from lossimpl.loading.pickling import attempt

DEEPEST = 50  # containers in one another; torch's collate gives up at about ten times as many
MOST = 3  # that are told
NUMBERS = "fiubc"  # kinds of NumPy dtypes that torch knows, but for some of the wider ones
INTEGER = 2**63
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)
COLLATE = "return tensors, arrays, numbers, text or containers of them, or pass a collate_fn that joins it"


@dataclass(frozen=True)
class Obstacle:
    """Where in a sample it is, the number of the first sample that has it, what it is, and what to do about it."""

    path: str
    number: int
    what: str
    advice: str


def of_samples(samples: list[Any]) -> list[dict[str, Any]]:
    """The obstacles of all samples, each path and kind once, as JSON can hold them."""
    found: dict[tuple[str, str], Obstacle] = {}
    for number, sample in enumerate(samples):
        for path, what, advice in of_value(sample, ""):
            found.setdefault((path, what), Obstacle(path, number, what, advice))
        if len(found) >= MOST:
            break
    return [asdict(one) for one in list(found.values())[:MOST]]


def of_value(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Path, nature and cure of each part that stands in the way."""
    if depth > DEEPEST:
        yield path[:40] + "...", "nested too deeply, or holds itself", "return flat containers"
    elif isinstance(value, Mapping):
        if isinstance(value, defaultdict) and attempt(value.default_factory)[0] is None:
            yield path, "a defaultdict whose default_factory cannot be pickled", "return a plain dict"
        for key, item in value.items():
            yield from of_value(item, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from of_value(item, f"{path}[{at}]", depth + 1)
    else:
        nature = of_tensor(value) if isinstance(value, torch.Tensor) else of_leaf(value)
        if nature is not None:
            yield path, *nature


def of_tensor(value: torch.Tensor) -> tuple[str, str] | None:
    """Why this tensor cannot go everywhere, and the cure."""
    if value.is_meta:
        return "a meta tensor, which has a shape but no data", "load its data, or make it on the cpu: device='cpu'"
    if value.is_quantized:
        return (
            "a quantised tensor",
            "return its int_repr() with scale and zero point, and quantise in the training loop",
        )
    if value.is_nested or value.layout != torch.strided:
        kind = "a nested" if value.is_nested else "a sparse"
        return f"{kind} tensor", "return it dense, or its parts as dense tensors, or pass a collate_fn"
    if value.requires_grad:
        return "a tensor that autograd follows (requires_grad)", "return tensor.detach()"
    if value.device.type != "cpu":
        return f"a tensor on {value.device}", "return it on the cpu and copy batches in the training loop"
    return None


def of_leaf(value: Any) -> tuple[str, str] | None:
    """Why torch's own collate function refuses anything else, and the cure."""
    if isinstance(value, np.ndarray | np.generic):
        known = value.dtype.kind in NUMBERS and value.dtype.itemsize <= (16 if value.dtype.kind == "c" else 8)
        kind = "a structured array" if value.dtype.names else f"an array of dtype {value.dtype}"
        return None if known else (kind, "return its numbers as an array of a dtype that torch knows, or a collate_fn")
    if isinstance(value, int) and not -INTEGER <= value < INTEGER:
        return "an integer of more than 64 bits", "return it as text or as a float"
    if isinstance(value, int | float | str | bytes | bytearray | memoryview):
        return None
    if value is None:
        return "None", "leave it out, or return a value that stands for nothing"
    kind = "a dataclass" if is_dataclass(value) else "a function" if isinstance(value, FUNCTIONS) else "an object"
    return f"{kind} of type {type(value).__qualname__}", COLLATE
