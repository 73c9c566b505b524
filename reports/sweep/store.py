"""The side-car of a sweep, and the marker that says that one was interrupted.

Rows are appended while they are measured, so nothing is lost. A marker outside results/ holds the time at which an
unfinished sweep of this commit began: rows since then are not measured again. A finished sweep removes the marker and
keeps the last row of each question.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.sweep.questions import Question

Key = tuple[str, tuple[str, ...]]


def now() -> str:
    """The time, as rows tell it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def key_of(row: dict[str, Any]) -> Key:
    """Which question a row answers: the benchmark and its parameters."""
    return row["benchmark"], tuple(row["params"])


def pack(path: Path) -> None:
    """Replace a written side-car by `path`.gz, a thirtieth of its size; the same lines give the same bytes."""
    if path.exists():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


@dataclass(frozen=True)
class Store:
    """Where a sweep of one commit on one machine in one environment keeps its rows."""

    root: Path
    machine: str
    commit: str
    environment: str

    @property
    def stem(self) -> str:
        """What asv calls its own file for the same sweep, without the ending."""
        return f"{self.commit[:8]}-{self.environment}"

    @property
    def rows_path(self) -> Path:
        """The side-car, beside asv's file."""
        return self.root / "results" / self.machine / f"{self.stem}.rows.jsonl"

    @property
    def conformance_path(self) -> Path:
        """The side-car of the hard cases, while it is written; `pack` makes it a file to keep."""
        return self.rows_path.with_name(f"{self.stem}.conformance.jsonl")

    @property
    def marker(self) -> Path:
        """The file that an unfinished sweep leaves; asv's folder for such things is not under version control."""
        return self.root / ".asv" / f"unfinished-{self.machine}-{self.stem}"

    def begin(self) -> str:
        """The time since when rows count: when the interrupted sweep began, else now."""
        if not self.marker.exists():
            self.marker.parent.mkdir(exist_ok=True)
            self.marker.write_text(now())
        return self.marker.read_text().strip()

    def rows(self, since: str = "") -> list[dict[str, Any]]:
        """The rows measured since a time; a line that is still being written is passed over."""
        if not self.rows_path.exists():
            return []
        found = []
        for line in self.rows_path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return [row for row in found if row["started_at"] >= since]

    def add_missing(self, questions: Iterable[Question], since: str) -> None:
        """A row for each question that has none: its process died or ran out of time before it could write one."""
        answered = {key_of(row) for row in self.rows(since)}
        for question in questions:
            if (question.benchmark, question.params) not in answered:
                record = question.record | {"status": "error", "reason": "the process died or ran out of time"}
                with self.rows_path.open("a") as file:
                    file.write(json.dumps(record | {"started_at": now()}) + "\n")

    def finish(self) -> None:
        """Keep the last row of each question, and close the sweep."""
        last = {key_of(row): row for row in self.rows()}
        fresh = self.rows_path.with_suffix(".new")
        fresh.write_text("".join(json.dumps(row) + "\n" for row in last.values()))
        fresh.replace(self.rows_path)
        self.marker.unlink(missing_ok=True)
