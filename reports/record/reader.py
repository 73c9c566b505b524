"""The only reader of stored results: asv's JSON and our side-cars, unit by unit, or a whole folder as one tidy frame.

A broken file or line becomes a `Problem` with its place and reason; everything else is still read. The folders of
several machines lie side by side, and rows of old commits are read like new ones.

Rows of the old protocol (format 1) were measured in one process: they have samples but no rounds, belong to no session,
and have no interval between runs.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pandas as pd

from lossimpl.ranking import FEWEST, Interval, median_interval
from reports.record import files, schema
from reports.record.formats import (
    DOCUMENTS,
    SIDE_CARS,
    Record,
    asv_rows,
    commit_and_env,
    document,
    header,
    require,
    require_order,
    side_record,
    side_row,
    time,
)
from reports.record.formats import Malformed as Malformed
from reports.record.units import Problem, Unit, shown, stem_and_kind, units

NUMBERS = [
    "value", "low", "high", "number", "threads", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel",
    "grad_mean_rel", "grad_ulp", "traffic", "ceiling", "share", "share_low", "share_high", "peak_bytes", "saved_bytes",
]  # fmt: skip
FINITE = ["traffic", "ceiling", "share", "peak_bytes", "saved_bytes"]  # an error may be infinite, these cannot
SESSION = ["machine", "env", "commit", "session"]  # what one statement may speak of; `session` is "" in format 1
KEY = [*SESSION, "benchmark", "params"]
COLUMNS = [
    *KEY, "version", "date", "python", "loss", "implementation", "shape", "dtype", "device", "mode", "status", "reason",
    "value", "low", "high", "times", "ceilings", "samples", "number", "stop", "busy", "threads",
    "verdict", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel", "grad_mean_rel", "grad_ulp",
    "traffic", "ceiling", "ceiling_name", "level", "share", "share_low", "share_high",
    "peak_bytes", "saved_bytes", "manifest", "started_at",
]  # fmt: skip
SESSION_COLUMNS = [*SESSION, "grid", "began_at", "seconds", "timed_seconds", "rounds"]
BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError)


@dataclass(frozen=True)
class Results:
    """Everything in `results/`.

    `rows` has one row per `KEY` and at least `COLUMNS`; seconds and bytes are plain numbers. `times` and `ceilings` are
    a row's seconds and bytes/s by the number of the round; `value`, `low` and `high` are the time over the rounds with
    its interval between runs, which is missing where there are too few rounds, and in format 1. `sessions` has
    `SESSION_COLUMNS`. `conformance` has the newest commit of each machine and environment, `loaders` every line.
    `machines` maps a folder to its machine.json, `selftests` to its self-test of the gate, `loader_tests` to that of
    the loaders and `sweep_tests` to that of the sessions. `manifests` and `nights` are all lines, with their machine.
    """

    rows: pd.DataFrame
    sessions: pd.DataFrame
    conformance: pd.DataFrame
    loaders: pd.DataFrame
    machines: dict[str, Record] = field(default_factory=dict)
    manifests: tuple[Record, ...] = ()
    selftests: dict[str, Record] = field(default_factory=dict)
    loader_tests: dict[str, Record] = field(default_factory=dict)
    sweep_tests: dict[str, Record] = field(default_factory=dict)
    nights: tuple[Record, ...] = ()
    problems: tuple[Problem, ...] = ()


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


def read(folder: Path) -> Results:
    """Read every machine's folder under `folder`; an absent folder gives empty results, a file raises.

    >>> read(Path("no-such-folder")).rows.empty
    True
    """
    found, problems = units(folder)
    contents = [read_unit(unit) for unit in found]
    return _assembled(contents, [*problems, *(problem for one in contents for problem in one.problems)])


def _assembled(found: list[Contents], problems: list[Problem]) -> Results:
    rows = frame(row for one in found for row, _ in one.joined())
    newest = _newest(found)
    documents = {
        name: {one.unit.machine: one.documents[name] for one in found if name in one.documents} for name in DOCUMENTS
    }
    return Results(
        rows=rows.assign(date=rows.groupby("commit")["date"].transform("min")),
        sessions=session_frame(line for one in found for line in _lines([one], "sessions")),
        conformance=pd.DataFrame(_lines(newest, "conformance")),
        loaders=pd.DataFrame(_lines(found, "loaders")),
        machines={one.unit.machine: {} for one in found} | documents["machine.json"],
        manifests=tuple(_lines(found, "manifest")),
        selftests=documents["gate-selftest.json"],
        loader_tests=documents["loaders-selftest.json"],
        sweep_tests=documents["sweep-selftest.json"],
        nights=tuple(_lines(found, "changes")),
        problems=tuple(problems),
    )


def _lines(found: Iterable[Contents], kind: str) -> list[Record]:
    return [line.read for one in found for line in one.lines[kind]]


def _newest(found: list[Contents]) -> list[Contents]:
    """Of the units with hard cases, the one of the newest commit of each machine and environment."""
    cases = [one for one in found if one.lines["conformance"]]
    by_date = sorted(cases, key=lambda one: one.date or pd.Timestamp(0, tz="UTC"))
    newest = {(one.unit.machine, commit_and_env(one.unit.stem)["env"]): one for one in by_date}
    return [one for one in cases if one in newest.values()]


def frame(rows: Iterable[Record]) -> pd.DataFrame:
    """Rows as a frame that has all `COLUMNS`, whose numbers are numbers."""
    found = pd.DataFrame(list(rows))
    found = found.reindex(columns=list(dict.fromkeys([*COLUMNS, *found.columns])))
    found[NUMBERS] = found[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    found[FINITE] = found[FINITE].where(found[FINITE].abs() < float("inf"))
    return found


def session_frame(lines: Iterable[Record]) -> pd.DataFrame:
    """What sessions wrote about themselves; of several lines of one session the last."""
    stored = pd.DataFrame(list(lines)).reindex(columns=SESSION_COLUMNS)
    numbers = stored[["seconds", "timed_seconds", "rounds"]].apply(pd.to_numeric, errors="coerce").astype(float)
    stored = stored.assign(**numbers, began_at=pd.to_datetime(stored["began_at"], utc=True))
    return stored.drop_duplicates(SESSION, keep="last").reset_index(drop=True)


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
        self.seen: dict[tuple[Any, ...], int] = {}
        self.unknown: set[tuple[Path, str]] = set()

    @contextmanager
    def noted(self, path: Path, line: int | None = None) -> Iterator[None]:
        try:
            yield
        except (*BROKEN, RecursionError, Malformed) as error:
            self.note(path, plain(error), line)

    def note(self, path: Path, what: str, line: int | None = None) -> None:
        place = f"{self.contents.unit.machine}/{shown(path.name)}" + (f" line {line}" if line else "")
        self.contents.problems.append(Problem(place, what))

    def file(self, path: Path) -> None:
        if path.name in DOCUMENTS:
            self.contents.documents[path.name] = document(path.name, json.loads(files.whole(path)))
        elif path.name.endswith(".json"):
            data = json.loads(files.whole(path).decode())
            require(isinstance(data, dict), f"is {type(data).__name__}, expected a JSON object")
            self._asv_file(path, data)
        else:
            self._side_car(path)

    def _asv_file(self, path: Path, data: Record) -> None:
        common = {"machine": self.contents.unit.machine, **header(path.stem, data)}
        self.contents.header = {key: value for key, value in data.items() if key != "results"}
        for name, cells in data["results"].items():
            with self.noted(path):
                found = [common | row for row in asv_rows(name, data["result_columns"], cells)]
                self.contents.cells[name] = cells
                rows = (row for row in found if row["status"] == "ok" or not self.has_rows)  # lines have all the others
                self.contents.asv.update((_asv_key(row), row) for row in rows)

    def _side_car(self, path: Path) -> None:
        stem, kind = stem_and_kind(path)
        require(kind in SIDE_CARS, f"{kind!r} is unknown to this version, which reads {', '.join(SIDE_CARS)}")
        common = {"machine": self.contents.unit.machine, **(commit_and_env(stem) if kind != "changes" else {})}
        for number, line in enumerate(files.lines(path), start=1):
            if line.strip():
                with self.noted(path, number):
                    self._line(path, kind, common, number, line)

    def _line(self, path: Path, kind: str, common: Record, number: int, line: bytes) -> None:
        if kind == "conformance":
            held, read = _hard_case(line)
        else:
            held = json.loads(line.decode())
            read = side_row(held) if kind == "rows" else side_record(kind, held)
        read = {**({"session": ""} if kind == "rows" else {}), **read, **common}
        if kind == "rows":
            self._require_clock(read)
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
        fields = SIDE_CARS[kind]
        if kind == "rows" and "dataset" in held:
            fields = schema.LOADER_ROW
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


@lru_cache(maxsize=30_000)
def _hard_case(line: bytes) -> tuple[Record, Record]:
    """A line of hard cases as it is held and read: most are the same at every commit."""
    held = json.loads(line.decode())
    return held, side_record("conformance", held)


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


def interval(samples: Sequence[float]) -> Interval:
    """The median of samples with its interval within their process, which is missing where they are too few for one.

    >>> interval([3.0, 1.0, 2.0])
    Interval(value=2.0, low=nan, high=nan)
    """
    found = median_interval(samples)
    return found if len(samples) >= FEWEST else found._replace(low=math.nan, high=math.nan)


def nights_of(path: Path) -> list[Record]:
    """The lines of all nights. One in another format raises `Malformed`: what it reports would be reported again."""
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [_night(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _night(path: Path, number: int, line: bytes) -> Record:
    try:
        return side_record("changes", json.loads(line))
    except ValueError as error:
        raise Malformed(f"{path} line {number}: {error}; correct or remove the line") from error
