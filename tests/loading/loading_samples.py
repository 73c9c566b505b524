"""Datasets whose samples, or the errors that making one raises, are of an unusual kind: one factory for each."""

from __future__ import annotations

import io
import multiprocessing.util
import os
import signal
import socket
import sqlite3
import sys
import threading
import warnings
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from loading_faults import COUNT, FATAL, Good, Samples

from lossimpl.loading import Workload

Pair = namedtuple("Pair", "image label")
ROW = np.zeros(1, dtype=[("x", "f4"), ("y", "i8")])


@dataclass
class Record:
    image: torch.Tensor
    label: int


class Colour(Enum):
    RED = 1


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def itself():
    """A list that holds itself."""
    held = [1]
    held.append(held)
    return held


def quantised():
    return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)


SAMPLES = {
    "meta": lambda index: {"image": torch.ones(3, device="meta"), "label": index},
    "meta_bare": lambda index: torch.ones(3, device="meta"),
    "meta_once": lambda index: (torch.ones(3, device="meta" if index == FATAL else "cpu"), index),
    "sparse": lambda index: (torch.eye(3).to_sparse(), index),
    "sparse_csr": lambda index: (torch.eye(3).to_sparse_csr(), index),
    "quantised": lambda index: (quantised(), index),
    "nested": lambda index: torch.nested.nested_tensor([torch.ones(1 + index % 3)]),
    "leaf": lambda index: {"image": torch.ones(3, requires_grad=True), "label": index},
    "graph": lambda index: {"image": torch.ones(3, requires_grad=True) * 2, "label": index},
    "objects": lambda index: (np.array([index, "a"], dtype=object), index),
    "memoryview": lambda index: {"raw": memoryview(bytes(3)), "label": index},
    "generator": lambda index: (iter([index]), index),
    "function": lambda index: {"transform": lambda: index, "label": index},
    "open_file": lambda index: {"file": open(os.devnull, "rb"), "label": index},  # noqa: SIM115  (held on purpose)
    "lock": lambda index: (threading.Lock(), index),
    "socket": lambda index: (socket.socket(), index),
    "database": lambda index: (sqlite3.connect(":memory:"), index),
    "module": lambda index: (torch.nn.Linear(1, 1), index),
    "named": lambda index: Pair(torch.ones(3), Pair(torch.ones(1), index)),
    "record": lambda index: Record(torch.ones(3), index),
    "enum": lambda index: (Colour.RED, index),
    "slotted": lambda index: (Slotted(index), index),
    "path": lambda index: {"path": Path("a"), "label": index},
    "date": lambda index: (date(2026, 1, 1), index),
    "datetime64": lambda index: np.array(["2026-01-01"], dtype="datetime64[D]"),
    "decimal": lambda index: (Decimal(index), index),
    "fraction": lambda index: Fraction(index, 7),
    "set": lambda index: ({index}, index),
    "structured": lambda index: {"row": ROW, "label": index},
    "strings": lambda index: np.array(["a", "bc"]),
    "text": lambda index: (f"text {index}", index),
    "bytes": lambda index: (bytes([index]), index),
    "bytearray": lambda index: (bytearray([index]), index),
    "boolean": lambda index: (torch.tensor([True, False]), bool(index % 2)),
    "complex": lambda index: (torch.ones(2, dtype=torch.complex64) * index, complex(index, 1)),
    "zero_size": lambda index: (torch.ones(0, 3), index),
    "uint16": lambda index: np.ones(2, dtype=np.uint16) * index,
    "big_endian": lambda index: np.ones(2, dtype=">f4") * index,
    "longdouble": lambda index: np.ones(2, dtype=np.longdouble),
    "huge_int": lambda index: (2**70, index),
    "nan": lambda index: (float("nan"), index),
    "itself": lambda index: itself(),
    "ordered": lambda index: OrderedDict(x=index),
    "default": lambda index: defaultdict(lambda: 0, x=index),
    "user_dict": lambda index: UserDict(x=index),
    "float8": lambda index: torch.ones(3).to(torch.float8_e4m3fn),
    "read_only": lambda index: np.frombuffer(bytes([index] * 4), dtype=np.uint8),
    "negative_stride": lambda index: np.arange(4)[::-1] * index,
    "subclass": lambda index: torch.nn.Parameter(torch.ones(3), requires_grad=False),
    "deep": lambda index: deep(5000),
    "io": lambda index: (io.BytesIO(b"1"), index),
    "exception": lambda index: ValueError(index),
    "none_inside": lambda index: {"image": None, "label": index},
    "sparse_once": lambda index: torch.eye(2).to_sparse() if index == FATAL else torch.eye(2),
}


def deep(levels):
    """A list in a list in a list, and so on."""
    held = 0
    for _ in range(levels):
        held = [held]
    return held


class Chatty(Exception):
    pass


class Worded(Exception):
    """Its constructor needs arguments by name."""

    def __init__(self, *, path, code):
        super().__init__(f"{path} has code {code}")


class Holding(Exception):
    """Holds what no process can be sent."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def local_class():
    class Hidden(Exception):
        pass

    raise Hidden("the picture is broken")


def decode():
    raise ValueError("bad header")


def look_up():
    raise KeyError("label")


def group():
    broken = []
    for part in (decode, look_up):
        try:
            part()
        except Exception as error:
            broken.append(error)
    raise ExceptionGroup("two parts are broken", broken)


def nested_group():
    try:
        group()
    except ExceptionGroup as error:
        raise ExceptionGroup("the sample is broken", [error, OSError(5, "I/O error", "a.bin")]) from None


def base_group():
    raise BaseExceptionGroup("stopped", [KeyboardInterrupt(), ValueError("bad header")])


def chained():
    try:
        decode()
    except ValueError as error:
        raise RuntimeError("cannot read sample 37") from error


def while_handling():
    try:
        decode()
    except ValueError:
        look_up()


def raising(error):
    def act():
        raise error

    return act


def warn_as_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("truncated picture", stacklevel=1)


def recurse():
    recurse()


def kill(number):
    return lambda: os.kill(os.getpid(), number)


RAISERS = {
    "group": group,
    "nested_group": nested_group,
    "base_group": base_group,
    "chained": chained,
    "while_handling": while_handling,
    "huge": lambda: raising(Chatty("pixel " * 200_000))(),
    "huge_word": lambda: raising(Chatty("x" * 2_000_000))(),
    "worded": lambda: raising(Worded(path="a.png", code=3))(),
    "holding": lambda: raising(Holding("lock held"))(),
    "local_class": local_class,
    "many_lines": lambda: raising(RuntimeError("sizes differ:\n  weight\n  bias"))(),
    "silent": lambda: raising(ValueError())(),
    "bytes_message": lambda: raising(ValueError(b"\xff\x00"))(),
    "surrogate": lambda: raising(ValueError("\udcff name"))(),
    "generator_exit": lambda: raising(GeneratorExit("stop"))(),
    "exit_text": lambda: sys.exit("no licence"),
    "warning": warn_as_error,
    "recursion": recurse,
    "assertion": lambda: raising(AssertionError("shape"))(),
    "stop_async": lambda: raising(StopAsyncIteration("over"))(),
    "bus": kill(signal.SIGBUS),
    "quit": kill(signal.SIGQUIT),
    "user": kill(signal.SIGUSR2),
    "pipe": kill(signal.SIGPIPE),
    "timer": kill(signal.SIGALRM),
    "floating": kill(signal.SIGFPE),
    "illegal": kill(signal.SIGILL),
    "exit255": lambda: os._exit(255),
    "exit_true": lambda: sys.exit(True),
}


class Failing(Good):
    """Does something at the fatal index."""

    def __init__(self, name):
        self.name = name

    def fail(self):
        RAISERS[self.name]()


class Making(Samples):
    """Samples of the kind that a name stands for."""

    def __init__(self, name):
        super().__init__(None)
        self.name = name

    def make_one(self, index):
        return SAMPLES[self.name](index)

    def __getitem__(self, index):
        if not 0 <= index < COUNT:
            raise IndexError(index)
        return self.make_one(index)


def __getattr__(name):
    """`sample_meta` and `raise_group` and so on."""
    kind, _, what = name.partition("_")
    if kind == "sample" and what in SAMPLES:
        return lambda: Making(what)
    if kind == "raise" and what in RAISERS:
        return lambda: Failing(what)
    raise AttributeError(name)


def die_at_the_end(worker):
    multiprocessing.util.Finalize(None, os.abort, exitpriority=1)


def shutdown_death():
    return Workload(Good(), worker_init_fn=die_at_the_end)


class DiesLater(Good):
    """A worker that is killed a moment after its last sample, while it waits for the next epoch."""

    def __getitem__(self, index):
        if index == COUNT - 1 and torch.utils.data.get_worker_info() is not None:
            threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return super().__getitem__(index)
