"""Results as they come: one JSON line each, appended at once, and found again by key when a search is resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def key_of(question: Mapping[str, Any]) -> str:
    """A short hash of what was asked; equal questions have equal keys whatever the order of their parts."""
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass
class Store:
    """A file of records, or, without a path, memory alone."""

    path: Path | None = None
    records: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            self.records = {record["key"]: record for line in read(self.path) if (record := parse(line))}

    def writable(self) -> None:
        """Raise OSError unless the file can be written."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("a").close()

    def answer(self, question: Mapping[str, Any], ask: Callable[[], Record]) -> Record:
        """The stored record that answers the question, else a new one, stored unless the budget `cut` it short."""
        key = key_of(question)
        if key in self.records:
            return self.records[key]
        new = {**ask(), "key": key}
        if not new.get("cut"):
            self.put(new)
        return new

    def put(self, record: Record) -> None:
        """Keep a record, in the file first."""
        if self.path is not None:
            self.writable()
            cut = self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
            with self.path.open("a") as file:
                file.write(("\n" if cut else "") + json.dumps(record, default=str) + "\n")
        self.records[record["key"]] = record


def read(path: Path) -> list[str]:
    """The lines of a file of results; ValueError for one that is not text."""
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected results of `lossimpl loaders`, got no text: {error}") from error


def parse(line: str) -> Record | None:
    """A record from its line; None for one that was cut off or has no key."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "key" in record else None
