"""What earlier nights reported: `results/<machine>/changes.jsonl`, one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reports.record.reader import nights_of
from reports.statistics.changes import Event, Finding
from reports.statistics.nights import finding_line


def finding_lines(machine: str, seen: Sequence[Finding], settled: Sequence[Finding]) -> list[dict[str, Any]]:
    """The lines for a machine's findings: where they were settled, and where the history has them if that differs."""
    lines = []
    for before, after in zip(seen, settled, strict=True):
        if before.series.machine == machine:
            lines += [finding_line(after)]
            moved = {"again": f"see {after.commit}", "moved_to": after.commit}
            lines += [{**finding_line(before), **moved}] * (before.commit != after.commit)
    return lines


def event_line(one: Event) -> dict[str, Any]:
    """The line for a new environment."""
    return {"commit": one.commit, "event": one.label}


def path_of(root: Path, machine: str) -> Path:
    """The file of a machine, beside its results."""
    return root / "results" / machine / "changes.jsonl"


def is_new(root: Path, line: dict[str, Any], machine: str) -> bool:
    """Whether no earlier night wrote this line; numbers may differ, the row, environment and commit may not."""
    return _place(line) not in {_place(known) for known in nights_of(path_of(root, machine))}


def _place(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(name) for name in ("row", "environment", "event", "commit", "text"))


def remember(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Append lines to a machine's file."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if text:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
