"""Where a search starts that follows an observed training: its settings, its step, and what was suggested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from lossimpl.loading.settings import Settings, from_request


@dataclass(frozen=True)
class Start:
    """The settings to vary, the seconds of a step or None, and the settings to try first."""

    base: Settings = field(default_factory=Settings)
    step: float | None = None
    first: tuple[Settings, ...] = ()


def start_from(paths: Sequence[Path]) -> Start:
    """Read what `observe(...).to_json(path)` wrote, one file per rank.

    Raises ValueError for a file that holds something else.
    """
    if not paths:
        return Start()
    found = [read(path) for path in paths]
    slowest = max(found, key=lambda one: one["stall_fraction"] or 0.0)
    settings = from_request(slowest["settings"])
    tried = [settings, *(from_request({**slowest["settings"], **one}) for one in slowest["suggestions"])]
    base = settings.without_workers()
    return Start(base, median(one["step_seconds"] for one in found), tuple(dict.fromkeys(tried)))


def read(path: Path) -> dict[str, Any]:
    """One file of an observation."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected what observe(...).to_json() wrote: {error}") from error
    if not isinstance(record, dict) or record.get("kind") != "observation" or not record.get("step_seconds"):
        raise ValueError(f"{path}: expected what observe(...).to_json() wrote, with at least one step")
    return record
