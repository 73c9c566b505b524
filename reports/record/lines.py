"""Files of JSON lines that a process is still writing, or that a crash cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def objects(path: Path) -> list[dict[str, Any]]:
    """The objects in a file, none where there is no file; an incomplete line is skipped."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return found
