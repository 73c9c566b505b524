"""What a session writes: its rounds while it runs, its rows when it ends, and the marker of an unfinished one.

A record of each round is appended as soon as it is measured, so that nothing measured is lost. When the session ends or
is interrupted, the rounds of each row become one record in the side-car of rows. The marker outside results/ names a
session that can be continued; a finished one removes it, and its rounds, which its rows hold.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from lossimpl import files, identity
from lossimpl.row import combined, from_record
from reports.record.lines import objects
from reports.record.rows import Row, name_of

Record = dict[str, Any]
CONTINUED = timedelta(
    hours=6
)  # an interrupted session that is older starts anew: its rounds would not be one session's


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def key_of(record: Record) -> str:
    """asv's name of the row that a record belongs to."""
    return name_of(record["benchmark"], record["params"])


def pack(path: Path) -> None:
    """Replace a side-car by `path`.gz, a thirtieth of its size; the same lines give the same bytes."""
    if path.exists():
        packed, whole = path.with_name(f"{path.name}.gz"), path.with_suffix(".new")
        whole.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        whole.replace(packed)
        path.unlink()


def packed_objects(path: Path) -> list[Record]:
    """The objects of a side-car that was packed, none if it was not or is damaged."""
    try:
        return [json.loads(line) for line in files.lines(path.with_name(f"{path.name}.gz")) if line]
    except (OSError, EOFError, ValueError, zlib.error):
        return []


def write(path: Path, records: Iterable[Record]) -> None:
    """Replace a file of JSON lines; a crash leaves the old one or the new one whole."""
    fresh = path.with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_text("".join(json.dumps(record) + "\n" for record in records))
    fresh.replace(path)


def session_record(records: list[Record], session: str) -> Record:
    """One record of a row from its records of single rounds; that of a loader's row is its last one."""
    if "implementation" not in records[-1]:
        return records[-1] | {"session": session}
    identity = {name: records[0][name] for name in ("benchmark", "params")}
    return identity | asdict(combined([from_record(record) for record in records])) | {"session": session}


class Begun(NamedTuple):
    """A session: its id, when it began, and the seconds that it took before it was interrupted."""

    session: str
    at: datetime
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """Where a session of one commit on one machine in one environment keeps its records."""

    root: Path
    machine: str
    commit: str
    environment: str

    @property
    def stem(self) -> str:
        """The name of asv's own file for the same commit, without its suffix."""
        return f"{self.commit[:8]}-{self.environment}"

    def side_car(self, kind: str) -> Path:
        """A file beside asv's."""
        return self.root / "results" / self.machine / f"{self.stem}.{kind}.jsonl"

    @property
    def marker(self) -> Path:
        """The file that an unfinished session leaves, in asv's folder outside version control."""
        return self.root / ".asv" / f"unfinished-{self.machine}-{self.stem}.json"

    def begin(self, grid: str) -> Begun:
        """A session that was interrupted on the same grid, else a new one."""
        known = json.loads(self.marker.read_text()) if self.marker.exists() else {}
        if known.get("grid") == grid and now() - datetime.fromisoformat(known["started_at"]) < CONTINUED:
            session = str(known["session"])
            before = [one for one in objects(self.side_car("sessions")) if one.get("session") == session]
            seconds = sum(float(one.get("seconds", 0)) for one in before)
            return Begun(session, datetime.fromisoformat(known["started_at"]), seconds)
        self.side_car("rounds").unlink(missing_ok=True)  # its rows were written when it was interrupted
        begun = Begun(identity.new_session(), now())
        self.marker.parent.mkdir(exist_ok=True)
        held = {"session": begun.session, "grid": grid, "started_at": begun.at.isoformat()}
        self.marker.write_text(json.dumps(held))
        return begun

    def rounds(self) -> dict[str, list[Record]]:
        """The records of the unfinished session by the name of their row, in the order of measuring."""
        found: dict[str, list[Record]] = {}
        for record in objects(self.side_car("rounds")):
            found.setdefault(key_of(record), []).append(record)
        return found

    def append(self, record: Record) -> None:
        """Add a record to those of the unfinished session."""
        with self.side_car("rounds").open("a") as file:
            file.write(json.dumps(record | {"started_at": now().isoformat(timespec="seconds")}) + "\n")

    def save(self, rows: Iterable[Row], session: str, about: Mapping[str, Any]) -> list[Record]:
        """Write the rows of the session, those without a record as errors, and what is known about it."""
        rounds = self.rounds()
        fresh = [self._record(row, rounds.get(str(row), []), session) for row in rows]
        self._replace("rows", session, fresh)
        self._replace("sessions", session, [{"session": session, **about}])
        return fresh

    def _record(self, row: Row, records: list[Record], session: str) -> Record:
        if records:
            found = session_record(records, session)
        else:
            missing = row.failure("it was not measured before the session ended")
            found = missing | {"session": session, "started_at": now().isoformat(timespec="seconds")}
        return identity.identified(found | {"machine": self.machine, "commit": self.commit})

    def _replace(self, kind: str, session: str, records: Iterable[Record]) -> None:
        """Put the records of a session at the end of a side-car, in place of those that it has already."""
        path = self.side_car(kind)
        write(path, [*(one for one in objects(path) if one.get("session") != session), *records])

    def finish(self) -> None:
        """Close the session, whose rows are saved."""
        self.side_car("rounds").unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)
