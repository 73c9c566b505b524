"""Digests of data: what was delivered, as a few bytes that are equal if and only if the data are.

A digest covers the bytes, the dtype and the shape of every leaf and the structure around it. Order-free digests add
the digests of the members modulo 2**64, so a member that comes twice changes them.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from lossimpl.loading.data.tree import walk

BYTES = 8
ENTERED = (Mapping, tuple)  # whose parts have types of their own
TEXTS = {"U": "str", "S": "bytes"}  # kinds of NumPy dtypes whose width is a length
PYTHON = {("i", 8): "int", ("f", 8): "float", ("b", 1): "bool", ("c", 16): "complex"}  # alike to collate


def digest(value: object) -> str:
    """The digest of a sample or a batch: tensors, arrays, images, numbers, text, None, and containers of them.

    Anything else is digested through its attributes or its pickled form, and so must pickle to equal bytes when equal.

    >>> digest([1, 2.0]) == digest([1, 2.0]), digest([1]) == digest((1,)), digest(1) == digest(True)
    (True, False, False)
    """
    state = hashlib.blake2b(digest_size=BYTES)
    _feed(state, value)
    return state.hexdigest()


def order_free(digests: Iterable[str]) -> str:
    """The digest of a multiset of digests: their sum modulo 2**64.

    >>> order_free(["01", "02", "02"]) == order_free(["02", "01", "02"]) != order_free(["01", "02"])
    True
    """
    total = sum(int(one, 16) for one in digests) % 2 ** (8 * BYTES)
    return f"{total:0{2 * BYTES}x}"


def types(value: Any, path: str = "sample") -> dict[str, str]:
    """The dtype or Python type of each leaf by its path, so that types that change from sample to sample are found.

    Lists count by their container alone: their length and content may differ between good samples.

    >>> types((1, 2.0))
    {'sample[0]': 'int', 'sample[1]': 'float'}
    """
    return {where: type_of(part) for where, part in walk(value, path, ENTERED) if not isinstance(part, ENTERED)}


def type_of(value: Any) -> str:
    """The name of a type, with the dtype where the value has one.

    Values that torch's collate joins into the same tensor have the same name: a Python number and a NumPy scalar, or an
    array without dimensions, of its width; texts of any length.

    >>> import numpy as np
    >>> type_of(np.int64(1)), type_of(np.str_("ab")), type_of(np.array(["ab"])), type_of(np.float32(1))
    ('int', 'str', 'ndarray of str', 'float32')
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return type(value).__name__
    kind, width = getattr(dtype, "kind", ""), getattr(dtype, "itemsize", 0)
    name = TEXTS.get(kind) or str(dtype)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return PYTHON.get((kind, width), name) if kind not in TEXTS else name
    return f"{type(value).__name__} of {name}"


def _tag(state: Any, *parts: object) -> None:
    """Feed each part with its length, so that neighbours cannot run into each other."""
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)


def _feed(state: Any, value: Any) -> None:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        _feed_tensor(state, value)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        _tag(state, "ndarray", value.dtype, value.shape, np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.generic):
        _tag(state, "scalar", value.dtype, value.tobytes())
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
        _tag(state, type(value).__name__, value if isinstance(value, bytes) else repr(value))
    elif isinstance(value, memoryview):
        _tag(state, "memoryview", value.format, value.shape, value.tobytes())
    elif isinstance(value, Mapping):
        _tag(state, type(value).__name__, len(value))
        for key, item in value.items():
            _feed(state, key)
            _feed(state, item)
    elif isinstance(value, list | tuple | np.ndarray):
        _tag(state, type(value).__name__, len(value))
        for item in value:
            _feed(state, item)
    elif isinstance(value, set | frozenset):
        _tag(state, type(value).__name__, order_free(digest(item) for item in value))
    else:
        _feed_object(state, value)


def _feed_tensor(state: Any, value: Any) -> None:
    import torch

    dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
    flat = dense.cpu().contiguous().reshape(-1)
    data = b"" if flat.numel() == 0 else bytes(flat.resolve_conj().resolve_neg().view(torch.uint8).numpy())
    _tag(state, "tensor", value.dtype, tuple(value.shape), data)


def _feed_object(state: Any, value: Any) -> None:
    """Images by mode, size and pixels; dataclasses by fields; the rest by its pickled form."""
    if hasattr(value, "tobytes") and hasattr(value, "mode") and hasattr(value, "size"):
        _tag(state, "image", value.mode, value.size, value.tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        _tag(state, type(value).__qualname__)
        for field in fields(value):
            _tag(state, field.name)
            _feed(state, getattr(value, field.name))
    elif hasattr(value, "__dict__"):
        _tag(state, type(value).__qualname__)
        _feed(state, {name: item for name, item in vars(value).items() if not callable(item)})
    else:
        _tag(state, type(value).__qualname__, pickle.dumps(value, protocol=4))
