"""The only reader of `results/`: asv's JSON and our side-cars, as one tidy pandas frame.

A broken file or line becomes a `Problem` with its place and reason; everything else is still read. The folders of
several machines lie side by side, and rows of old commits are read like new ones.

    results/<machine>/machine.json                          asv: facts about the machine
    results/<machine>/<hash8>-<env>.json                    asv: format 2, one file per commit and environment
    results/<machine>/<hash8>-<env>.rows.jsonl              one object per row and session: rounds, agreement, memory
    results/<machine>/<hash8>-<env>.sessions.jsonl          one object per session: its grid, when, how long
    results/<machine>/<hash8>-<env>.manifest.jsonl          one environment per line, by `id`
    results/<machine>/<hash8>-<env>.conformance.jsonl.gz    one object per case, implementation, device and dtype
    results/<machine>/<hash8>-<env>.loaders.jsonl           one object per DataLoader configuration
    results/<machine>/sweep-selftest.json                   how often a session's intervals cover the next session
    results/<machine>/gate-selftest.json                    error rates of the gate
    results/<machine>/loaders-selftest.json                 accuracy of the search for loader settings
    results/<machine>/changes.jsonl                         what each night reported, settled by pairs of processes

Rows of the old protocol (format 1) were measured in one process: they have samples but no rounds, belong to no session,
and have no interval between runs.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from lossimpl.ranking import FEWEST, Interval, median_interval
from reports.record.formats import Malformed as Malformed
from reports.record.formats import Record, asv_rows, commit_and_env, header, require, side_record, side_row

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
SIDE_CARS = ("manifest", "conformance", "loaders", "changes", "sessions")
PER_MACHINE = ("machine.json", "gate-selftest.json", "loaders-selftest.json", "sweep-selftest.json")
BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError)


@dataclass(frozen=True)
class Problem:
    """Something in `results/` that could not be read; `place` is the file, with the line where there is one."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


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


def read(folder: Path) -> Results:
    """Read every machine's folder under `folder`; an absent folder gives empty results, a file raises.

    >>> read(Path("no-such-folder")).rows.empty
    True
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"results: {folder} is a file; expected asv's results folder")
    reader = _Reader(folder)
    for machine in sorted(path for path in folder.glob("*") if path.is_dir()):
        reader.machine(machine)
    return reader.results()


class _Reader:
    """Collects records and problems while it walks the folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asv: dict[tuple[Any, ...], Record] = {}
        self.rows: dict[tuple[Any, ...], Record] = {}
        self.side: dict[str, list[Record]] = {name: [] for name in SIDE_CARS}
        self.per_machine: dict[str, dict[str, Record]] = {name: {} for name in PER_MACHINE}
        self.problems: list[Problem] = []
        self.dates: dict[str, pd.Timestamp] = {}  # of commits, as asv knows them

    def results(self) -> Results:
        rows = self._rows()
        machines, selftests, loader_tests, sweep_tests = self.per_machine.values()
        return Results(
            rows=rows.assign(date=rows.groupby("commit")["date"].transform("min")),
            sessions=self._sessions(),
            conformance=pd.DataFrame(self.side["conformance"]),
            loaders=pd.DataFrame(self.side["loaders"]),
            machines=machines,
            manifests=tuple(self.side["manifest"]),
            selftests=selftests,
            loader_tests=loader_tests,
            sweep_tests=sweep_tests,
            nights=tuple(self.side["changes"]),
            problems=tuple(self.problems),
        )

    def _rows(self) -> pd.DataFrame:
        """asv's rows joined to those of each session at the same commit, and those that only asv has."""
        joined = [_merged(self.asv.get(_asv_key(row), {}), row) for row in self.rows.values()]
        known = set(map(_asv_key, self.rows.values()))
        alone = [_merged(row, {}) for key, row in self.asv.items() if key not in known]
        rows = pd.DataFrame(alone + joined)
        rows = rows.reindex(columns=list(dict.fromkeys([*COLUMNS, *rows.columns])))
        rows[NUMBERS] = rows[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
        rows[FINITE] = rows[FINITE].where(rows[FINITE].abs() < float("inf"))
        return rows

    def _sessions(self) -> pd.DataFrame:
        found = pd.DataFrame(self.side["sessions"]).reindex(columns=SESSION_COLUMNS)
        numbers = ["seconds", "timed_seconds", "rounds"]
        found[numbers] = found[numbers].apply(pd.to_numeric, errors="coerce").astype(float)
        return found.drop_duplicates(SESSION, keep="last")

    def machine(self, folder: Path) -> None:
        self.per_machine["machine.json"][folder.name] = {}
        side_cars = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
        cases = [path for path in side_cars if _stem_and_kind(path)[1] == "conformance"]
        for path in side_cars:
            if path not in cases:
                with self._noted(path):
                    self._side_car(path)
        for path in sorted(folder.glob("*.json")):
            with self._noted(path):
                self._json_file(path)
        for path in self._newest(cases):
            with self._noted(path):
                self._side_car(path)

    def _newest(self, paths: list[Path]) -> list[Path]:
        """Of files of several commits those of the newest one in each environment, by the dates that asv knows."""
        named = {path: path.name.removesuffix(".gz").partition("-") for path in paths}
        by_date = sorted(paths, key=lambda path: self.dates.get(named[path][0], pd.Timestamp(0, tz="UTC")))
        newest = {named[path][2]: named[path][0] for path in by_date}
        return [path for path in paths if named[path][0] == newest[named[path][2]]]

    @contextmanager
    def _noted(self, path: Path, line: int | None = None) -> Iterator[None]:
        try:
            yield
        except (*BROKEN, RecursionError, Malformed) as error:
            place = str(path.relative_to(self.folder)) + (f" line {line}" if line else "")
            self.problems.append(Problem(place, _plain(error)))

    def _json_file(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding="utf-8"))
        require(isinstance(data, dict), f"is {type(data).__name__}, expected a JSON object")
        if path.name in PER_MACHINE:
            self.per_machine[path.name][path.parent.name] = data
        elif path.name != "benchmarks.json":
            self._asv_file(path, data)

    def _asv_file(self, path: Path, data: Record) -> None:
        common = {"machine": path.parent.name, **header(path.stem, data)}
        if common["date"] is not None:
            self.dates[common["commit"]] = common["date"]
        has_side_car = path.with_suffix(".rows.jsonl").exists()
        for name, cells in data["results"].items():
            with self._noted(path):
                for row in asv_rows(name, data["result_columns"], cells):
                    if row["status"] == "ok" or not has_side_car:  # the side-car has all that was measured
                        self.asv[_asv_key(common | row)] = common | row

    def _side_car(self, path: Path) -> None:
        stem, kind = _stem_and_kind(path)
        if kind not in (*SIDE_CARS, "rows"):
            return
        common = {"machine": path.parent.name, **(commit_and_env(stem) if kind != "changes" else {})}
        held = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for number, line in enumerate(held.split(b"\n"), start=1):
            with self._noted(path, number):
                self._line(kind, common, line)

    def _line(self, kind: str, common: Record, line: bytes) -> None:
        if not line.strip():
            return
        record = json.loads(line.decode("utf-8"))
        if kind == "rows":
            row = {"session": "", **common, **side_row(record)}
            self.rows[tuple(row[name] for name in KEY)] = row
        else:
            self.side[kind].append({**side_record(kind, record), **common})


def _asv_key(row: Record) -> tuple[Any, ...]:
    """What asv knows a row by: it has one of all the sessions of a commit."""
    return tuple(row[name] for name in KEY if name != "session")


def _stem_and_kind(path: Path) -> tuple[str, str]:
    stem, _, kind = path.name.removesuffix(".gz").removesuffix(".jsonl").rpartition(".")
    return stem, kind


def _plain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text: {error.reason} at byte {error.start}"
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return f"not whole gzip: {error}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return str(error)


def _merged(asv: Record, side: Record) -> Record:
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
