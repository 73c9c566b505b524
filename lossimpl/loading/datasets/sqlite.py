"""Rows from a database: the digits as blobs in a SQLite file, one connection for each process that reads.

A connection must not cross a fork, so it is opened on first use and remembered with the process that opened it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lossimpl.loading.datasets import package_file
from lossimpl.loading.workload import Workload


class Blobs(Dataset[tuple[torch.Tensor, int]]):
    """(float32 tensor [64] in 0..1, digit), each fetched by its row number."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connection: sqlite3.Connection | None = None
        self.process = 0
        with sqlite3.connect(path) as connection:
            self.length: int = connection.execute("SELECT COUNT(*) FROM digits").fetchone()[0]
        connection.close()

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "connection": None, "process": 0}

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        query = "SELECT pixels, digit FROM digits WHERE number = ?"
        row = self.opened().execute(query, (int(index),)).fetchone()
        if row is None:
            raise IndexError(index)
        return torch.from_numpy(np.frombuffer(row[0], np.float32).copy()), int(row[1])

    def opened(self) -> sqlite3.Connection:
        """The connection of this process."""
        if self.connection is None or self.process != os.getpid():
            self.connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
            self.process = os.getpid()
        return self.connection


def write(path: Path, table: np.ndarray) -> None:
    """Make the file, whole or not at all: processes may ask for it at the same time."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    with sqlite3.connect(unfinished) as connection:
        connection.execute("CREATE TABLE digits (number INTEGER PRIMARY KEY, pixels BLOB, digit INTEGER)")
        rows = ((at, (row[:-1] / 16).astype(np.float32).tobytes(), int(row[-1])) for at, row in enumerate(table))
        connection.executemany("INSERT INTO digits VALUES (?, ?, ?)", rows)
    connection.close()
    unfinished.rename(path)


def build() -> Workload:
    """The digits of the installed scikit-learn in a database in the folder for temporary files, made on first use."""
    path = Path(tempfile.gettempdir(), f"lossimpl-digits-{os.getuid()}.sqlite")
    if not path.exists():
        write(path, np.loadtxt(package_file("sklearn", "datasets", "data", "digits.csv.gz"), delimiter=","))
    return Workload(Blobs(str(path)), files=[str(path)])
