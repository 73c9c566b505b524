"""Files of JSON lines that a process is still writing, or that a crash cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def objects(path: Path) -> list[Record]:
    """The objects in a file, none where there is no file; an incomplete line is skipped."""
    return objects_from(path, 0)[0]


def objects_from(path: Path, position: int) -> tuple[list[Record], int]:
    """The objects in a file from a position on, and the position after its last complete line."""
    if not path.exists():
        return [], position
    with path.open("rb") as file:
        file.seek(position)
        complete, newline, _ = file.read().rpartition(b"\n")
    found = []
    for line in complete.splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # not JSON, or not UTF-8
            continue
        if isinstance(record, dict):
            found.append(record)
    return found, position + len(complete) + len(newline)
