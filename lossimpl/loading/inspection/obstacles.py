"""What in a sample a loader cannot join, send or copy: reported where a failure names no place in the user's code."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import is_dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

from lossimpl.loading.data.tree import CONTAINERS, Cut, walk
from lossimpl.loading.inspection.pickling import attempt
from lossimpl.loading.inspection.result import Obstacle

MOST = 3  # that are reported
LONGEST_PATH = 120  # characters
NUMBERS = "fiubc"  # kinds of NumPy dtypes that torch knows, but for some of the wider ones
INTEGER = 2**63
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)
COLLATE = "return tensors, arrays, numbers, text or containers of them, or pass a collate_fn that joins it"


def of_samples(samples: list[Any]) -> list[Obstacle]:
    """The obstacles of all samples, each path and kind once."""
    found: dict[tuple[str, str], Obstacle] = {}
    for number, sample in enumerate(samples):
        for path, part in walk(sample):
            if nature := of_part(part):
                shown = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}..."
                found.setdefault((path, nature[0]), Obstacle(shown, number, *nature))
        if len(found) >= MOST:
            break
    return list(found.values())[:MOST]


def of_part(part: Any) -> tuple[str, str] | None:
    """Why a part of a sample stands in the way, and the cure; None where it does not."""
    if isinstance(part, Cut):
        return part.reason, "return flat containers"
    if isinstance(part, CONTAINERS):
        unsendable = isinstance(part, defaultdict) and attempt(part.default_factory)[0] is None
        return ("a defaultdict whose default_factory cannot be pickled", "return a plain dict") if unsendable else None
    return of_tensor(part) if isinstance(part, torch.Tensor) else of_leaf(part)


def of_tensor(value: torch.Tensor) -> tuple[str, str] | None:
    """Why a loader cannot handle this tensor, and the cure."""
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
        return "a tensor in an autograd graph (requires_grad)", "return tensor.detach()"
    if value.device.type != "cpu":
        return f"a tensor on {value.device}", "return it on the cpu and copy batches in the training loop"
    return None


def of_leaf(value: Any) -> tuple[str, str] | None:
    """Why torch's own collate function refuses any other value, and the cure."""
    if isinstance(value, np.ndarray | np.generic):
        known = value.dtype.kind in NUMBERS and value.dtype.itemsize <= (16 if value.dtype.kind == "c" else 8)
        kind = "a structured array" if value.dtype.names else f"an array of dtype {value.dtype}"
        return None if known else (kind, "return its numbers as an array of a dtype that torch knows, or a collate_fn")
    if isinstance(value, int) and not -INTEGER <= value < INTEGER:
        return "an integer of more than 64 bits", "return it as text or as a float"
    if isinstance(value, int | float | str | bytes | bytearray | memoryview):
        return None
    if value is None:
        return "None", "leave it out, or return a placeholder value"
    kind = "a dataclass" if is_dataclass(value) else "a function" if isinstance(value, FUNCTIONS) else "an object"
    return f"{kind} of type {type(value).__qualname__}", COLLATE
