"""The side-car of a sweep, and the marker of an interrupted one.

Rows are appended while they are measured, so nothing is lost. A marker outside results/ holds the time at which an
unfinished sweep of this commit began; rows since then are not measured again. A finished sweep removes the marker and
keeps the last record of each row.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.record.lines import objects
from reports.record.rows import Row, name_of


def now() -> str:
    """The time as it is written in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def key_of(record: dict[str, Any]) -> str:
    """asv's name of the row that a record belongs to."""
    return name_of(record["benchmark"], record["params"])


def pack(path: Path) -> None:
    """Replace a side-car by `path`.gz, a thirtieth of its size; the same lines give the same bytes."""
    if path.exists():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


@dataclass(frozen=True)
class Store:
    """Where a sweep of one commit on one machine in one environment keeps its records."""

    root: Path
    machine: str
    commit: str
    environment: str

    @property
    def stem(self) -> str:
        """The name of asv's own file for the same sweep, without its suffix."""
        return f"{self.commit[:8]}-{self.environment}"

    @property
    def rows_path(self) -> Path:
        """The side-car of rows, beside asv's file."""
        return self.root / "results" / self.machine / f"{self.stem}.rows.jsonl"

    @property
    def conformance_path(self) -> Path:
        """The side-car of the hard cases while it is written; `pack` compresses it."""
        return self.rows_path.with_name(f"{self.stem}.conformance.jsonl")

    @property
    def marker(self) -> Path:
        """The file that an unfinished sweep leaves, in asv's folder outside version control."""
        return self.root / ".asv" / f"unfinished-{self.machine}-{self.stem}"

    def begin(self) -> str:
        """The time from which on records belong to this sweep: the start of the interrupted one, else now."""
        if not self.marker.exists():
            self.marker.parent.mkdir(exist_ok=True)
            self.marker.write_text(now())
        return self.marker.read_text().strip()

    def rows(self, since: str = "") -> list[dict[str, Any]]:
        """The records written since a time."""
        return [record for record in objects(self.rows_path) if record["started_at"] >= since]

    def add_missing(self, rows: Iterable[Row], since: str) -> None:
        """Add a record for each row without one: its process died or ran out of time before it could write one."""
        measured = {key_of(record) for record in self.rows(since)}
        for row in rows:
            if str(row) not in measured:
                record = row.record | {"status": "error", "reason": "the process died or ran out of time"}
                with self.rows_path.open("a") as file:
                    file.write(json.dumps(record | {"started_at": now()}) + "\n")

    def finish(self) -> None:
        """Keep the last record of each row, and close the sweep."""
        last = {key_of(record): record for record in self.rows()}
        fresh = self.rows_path.with_suffix(".new")
        fresh.write_text("".join(json.dumps(record) + "\n" for record in last.values()))
        fresh.replace(self.rows_path)
        self.marker.unlink(missing_ok=True)
