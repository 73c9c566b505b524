"""The only reader of stored results: asv's JSON and our side-cars, unit by unit.

A broken file or line becomes a `Problem` with its place and reason; everything else is still read. The folders of
several machines lie side by side, and rows of old commits are read like new ones.

Rows of the old protocol (format 1) were measured in one process: they have samples but no rounds, belong to no session,
and have no interval between runs.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pandas as pd

from lossimpl import files, identity
from reports.record import schema
from reports.record.asv import asv_rows, commit_and_env, header
from reports.record.documents import DOCUMENTS, document
from reports.record.formats import (
    SIDE_CARS,
    Record,
    columns_of_case,
    parsed,
    require,
    require_order,
    side_record,
    side_row,
    time,
)
from reports.record.formats import Malformed as Malformed
from reports.record.frames import KEY, SESSION
from reports.record.units import Problem, Unit, shown, stem_and_kind

BROKEN = (
    *(OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError, RecursionError),
    *(files.Unreadable, Malformed),
)


class Line(NamedTuple):
    """A line of a side-car: its number, what it holds, and the same as it is read."""

    number: int
    held: Record
    read: Record


@dataclass
class Contents:
    """What a unit holds. `asv` has the rows of asv's file by key, `cells` the same as asv stores them."""

    unit: Unit
    header: Record = field(default_factory=dict)
    cells: dict[str, list[Any]] = field(default_factory=dict)
    asv: dict[tuple[Any, ...], Record] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=lambda: {kind: [] for kind in SIDE_CARS})
    documents: dict[str, Record] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def date(self) -> pd.Timestamp | None:
        """When the commit was made, as asv knows it."""
        return time(self.header.get("date"), "date") if self.header else None

    def joined(self) -> list[tuple[Record, Line | None]]:
        """asv's rows that no line has, then every line joined to asv's row at the same commit."""
        lines = self.lines["rows"]
        known = {_asv_key(line.read) for line in lines}
        alone: list[tuple[Record, Line | None]] = [
            (merged(row, {}), None) for key, row in self.asv.items() if key not in known
        ]
        return alone + [(merged(self.asv.get(_asv_key(line.read), {}), line.read), line) for line in lines]


def read_unit(unit: Unit) -> Contents:
    """Read the files of a unit: asv's first, whose dates the lines of the others are compared with."""
    reader = _Reader(unit)
    for path in sorted(unit.paths, key=lambda path: (not path.name.endswith(".json"), ".sessions." not in path.name)):
        with reader.noted(path):
            reader.file(path)
    return reader.contents


class _Reader:
    """Collects the contents and problems of a unit."""

    def __init__(self, unit: Unit) -> None:
        self.contents = Contents(unit)
        self.has_rows = any(stem_and_kind(path)[1] == "rows" for path in unit.paths)
        self.kinds: dict[str, Path] = {}
        self.seen: dict[tuple[Any, ...], int] = {}
        self.unknown: set[tuple[Path, str]] = set()

    @contextmanager
    def noted(self, path: Path, line: int | None = None) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            self.note(path, plain(error), line)

    def note(self, path: Path, what: str, line: int | None = None) -> None:
        place = f"{self.contents.unit.machine}/{shown(path.name)}" + (f" line {line}" if line else "")
        self.contents.problems.append(Problem(place, what))

    def file(self, path: Path) -> None:
        if path.name in DOCUMENTS:
            self.contents.documents[path.name] = document(path.name, parsed(files.whole(path)))
        elif path.name.endswith(".json"):
            data = parsed(files.whole(path))
            require(isinstance(data, dict), f"is {type(data).__name__}, expected a JSON object")
            self._asv_file(path, data)
        else:
            self._side_car(path)

    def _asv_file(self, path: Path, data: Record) -> None:
        common = {"machine": self.contents.unit.machine, **header(path.stem, data)}
        self.contents.header = {key: value for key, value in data.items() if key != "results"}
        for name, cells in data["results"].items():
            with self.noted(path):
                rows = asv_rows(name, data["result_columns"], cells)
                found = [
                    common | row for row in rows if row["status"] == "ok" or not self.has_rows
                ]  # lines have others
                self.contents.cells[name] = cells
                self.contents.asv.update((_asv_key(row), row) for row in found)

    def _side_car(self, path: Path) -> None:
        stem, kind = stem_and_kind(path)
        require(kind in SIDE_CARS, f"{kind!r} is unknown to this version, which reads {', '.join(SIDE_CARS)}")
        read = self.kinds.setdefault(kind, path)
        require(read == path, f"{shown(read.name)}, which has the same kind, is read instead")
        common = {
            "machine": self.contents.unit.machine,
            **(commit_and_env(stem) if kind not in ("changes", "nightly") else {}),
        }
        for number, line in enumerate(files.lines(path), start=1):
            if line.strip():
                with self.noted(path, number):
                    self._line(path, kind, common, number, line)

    def _line(self, path: Path, kind: str, common: Record, number: int, line: bytes) -> None:
        if kind == "conformance":
            held, read = _hard_case(line)
        elif kind == "rows":
            held = parsed(line)
            read = {"session": "", **side_row(held), **common}
            _require_unchanged(held, common)
            self._require_clock(read)
        else:
            held = parsed(line)
            read = {**side_record(kind, held), **common}
        self._unknown_fields(path, kind, held)
        self._replace(path, kind, read, number)
        self.contents.lines[kind].append(Line(number, held, read))

    def _require_clock(self, read: Record) -> None:
        """A row is measured after its commit was made and its session began."""
        began = [
            one.read["began_at"] for one in self.contents.lines["sessions"] if one.read["session"] == read["session"]
        ]
        require_order(self.contents.date, read.get("started_at"), "started_at, after the commit's date")
        require_order(next(iter(began), None), read.get("started_at"), "started_at, after its session began")

    def _unknown_fields(self, path: Path, kind: str, held: Record) -> None:
        """Name each once per file."""
        fields = schema.LOADER_ROW if kind == "rows" and "dataset" in held else SIDE_CARS[kind].fields
        for name in schema.unknown(held, fields):
            if (path, name) not in self.unknown:
                self.unknown.add((path, name))
                self.note(path, f"field {name!r:.60} is unknown to this version; it is kept and not shown")

    def _replace(self, path: Path, kind: str, read: Record, number: int) -> None:
        """Drop an earlier line of the same row or session, and name it."""
        names = {"rows": KEY, "sessions": SESSION}.get(kind, [])
        key = (kind, *(read[name] for name in names))
        if names and key in self.seen:
            earlier = self.seen[key]
            self.note(path, f"has the same row or session as line {number}, which is read instead", earlier)
            self.contents.lines[kind] = [one for one in self.contents.lines[kind] if one.number != earlier]
        self.seen[key] = number


def _require_unchanged(held: Record, place: Record) -> None:
    """A row with a checksum is as it was written, and lies where it was written."""
    what = identity.fault(held)
    require(not what, f"{held['benchmark']}: {what}")
    for name, here in (("machine", place["machine"]), ("commit", place["commit"])):
        own = str(held.get(name, here))
        same = own[: identity.HASH] == here if name == "commit" else own == here
        require(same, f"{held['benchmark']}: its {name} is {own:.60}, but it lies among the results of {here}")


@lru_cache(maxsize=30_000)
def _hard_case(line: bytes) -> tuple[Record, Record]:
    """A line of hard cases as it is held, and as columns: most are the same at every commit."""
    held = side_record("conformance", parsed(line))
    return held, columns_of_case(held)


def _asv_key(row: Record) -> tuple[Any, ...]:
    """What asv knows a row by: it has one of all the sessions of a commit."""
    return tuple(row[name] for name in KEY if name != "session")


def plain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text: {error.reason} at byte {error.start}"
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return f"not whole gzip: {error}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


def merged(asv: Record, side: Record) -> Record:
    """asv's row with what the side-car adds, which knows why a row has no value, and has its rounds.

    Without rounds, the value is the median of the samples of one process, with no interval between runs.
    """
    row = {"session": "", **asv, **side}
    if "times" in row:
        row |= {"samples": None}  # asv's are the times of the newest session's rounds
    elif row.get("samples"):
        row["value"] = median(row["samples"])
    row.setdefault("status", "error" if pd.isna(row.get("value")) else "ok")
    return {**row, "date": row.get("date") or row.get("started_at")}  # a commit is older than its measurement


def document_of(path: Path) -> Record:
    """A machine's JSON file, empty where there is none. One that cannot be read raises `Malformed` with its place."""
    try:
        return document(path.name, parsed(files.whole(path))) if path.exists() else {}
    except BROKEN as error:
        raise Malformed(f"{path}: {plain(error)}") from error


def nights_of(path: Path) -> list[Record]:
    """The lines of all nights. One in another format raises `Malformed`: what it reports would be reported again."""
    try:
        lines = files.lines(path) if path.exists() else []
    except BROKEN as error:
        raise Malformed(f"{path}: {plain(error)}") from error
    return [_night(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _night(path: Path, number: int, line: bytes) -> Record:
    try:
        return side_record("changes", parsed(line))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path} line {number}: {plain(error)}; correct or remove the line") from error
