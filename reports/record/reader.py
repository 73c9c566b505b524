"""The only reader of `results/`: asv's JSON and our side-cars, as one tidy pandas frame.

A broken file or line becomes a `Problem` with its place and reason; everything else is still read. The folders of
several machines lie side by side, and rows of old commits are read like new ones.

    results/<machine>/machine.json                          asv: facts about the machine
    results/<machine>/<hash8>-<env>.json                    asv: format 2, one file per commit and environment
    results/<machine>/<hash8>-<env>.rows.jsonl              one object per measured row: samples, agreement, memory
    results/<machine>/<hash8>-<env>.manifest.jsonl          one environment per line, by `id`
    results/<machine>/<hash8>-<env>.conformance.jsonl.gz    one object per case, implementation, device and dtype
    results/<machine>/<hash8>-<env>.loaders.jsonl           one object per DataLoader configuration
    results/<machine>/gate-selftest.json                    error rates of the gate
    results/<machine>/loaders-selftest.json                 accuracy of the search for loader settings
    results/<machine>/changes.jsonl                         what each night reported, settled by pairs of processes
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
from typing import Any

import pandas as pd

from lossimpl.ranking import FEWEST, Interval, median_interval
from reports.record.formats import Malformed as Malformed
from reports.record.formats import Record, asv_rows, commit_and_env, header, require, side_record, side_row

NUMBERS = [
    "value", "low", "high", "number", "threads", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel",
    "grad_mean_rel", "grad_ulp", "traffic", "ceiling", "share", "peak_bytes", "saved_bytes",
]  # fmt: skip
FINITE = ["traffic", "ceiling", "share", "peak_bytes", "saved_bytes"]  # an error may be infinite, these cannot
KEY = ["machine", "env", "commit", "benchmark", "params"]
COLUMNS = [
    *KEY, "version", "date", "python", "loss", "implementation", "shape", "dtype", "device", "mode", "status", "reason",
    "value", "low", "high", "samples", "number", "stop", "busy", "threads",
    "verdict", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel", "grad_mean_rel", "grad_ulp",
    "traffic", "ceiling", "ceiling_name", "level", "share",
    "peak_bytes", "saved_bytes", "manifest", "started_at",
]  # fmt: skip
SIDE_CARS = ("manifest", "conformance", "loaders", "changes")
PER_MACHINE = ("machine.json", "gate-selftest.json", "loaders-selftest.json")
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

    `rows` has one row per (machine, env, commit, benchmark, params) and at least `COLUMNS`; seconds and bytes are
    plain numbers. `low` and `high` are the ends of the median's interval, missing where there are too few samples.
    `conformance` and `loaders` are the side-cars of these names. `manifests` maps an id to its manifest, `machines` a
    folder to its machine.json, `selftests` to its self-test of the gate and `loader_tests` to that of the loaders.
    `nights` are the lines of all nights, each with its machine.
    """

    rows: pd.DataFrame
    conformance: pd.DataFrame
    loaders: pd.DataFrame
    machines: dict[str, Record] = field(default_factory=dict)
    manifests: dict[str, Record] = field(default_factory=dict)
    selftests: dict[str, Record] = field(default_factory=dict)
    loader_tests: dict[str, Record] = field(default_factory=dict)
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

    def results(self) -> Results:
        keys = dict.fromkeys([*self.asv, *self.rows])
        rows = pd.DataFrame([_merged(self.asv.get(key, {}), self.rows.get(key, {})) for key in keys])
        rows = rows.reindex(columns=list(dict.fromkeys([*COLUMNS, *rows.columns])))
        rows[NUMBERS] = rows[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
        rows[FINITE] = rows[FINITE].where(rows[FINITE].abs() < float("inf"))
        machines, selftests, loader_tests = self.per_machine.values()
        return Results(
            rows=rows.assign(date=rows.groupby("commit")["date"].transform("min")),
            conformance=pd.DataFrame(self.side["conformance"]),
            loaders=pd.DataFrame(self.side["loaders"]),
            machines=machines,
            manifests={str(one.get("id")): one for one in self.side["manifest"]},
            selftests=selftests,
            loader_tests=loader_tests,
            nights=tuple(self.side["changes"]),
            problems=tuple(self.problems),
        )

    def machine(self, folder: Path) -> None:
        self.per_machine["machine.json"][folder.name] = {}
        for path in sorted(folder.glob("*.json")):
            with self._noted(path):
                self._json_file(path)
        for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
            with self._noted(path):
                self._side_car(path)

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
        for name, cells in data["results"].items():
            with self._noted(path):
                for row in asv_rows(name, data["result_columns"], cells):
                    self.asv[_key({**common, **row})] = {**common, **row}

    def _side_car(self, path: Path) -> None:
        stem, _, kind = path.name.removesuffix(".gz").removesuffix(".jsonl").rpartition(".")
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
            row = {**common, **side_row(record)}
            self.rows[_key(row)] = row
        else:
            self.side[kind].append({**side_record(kind, record), **common})


def _key(row: Record) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


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
    """asv's row with what the side-car adds; the side-car knows why a row has no value, and keeps every sample."""
    row = {**asv, **side}
    if row.get("samples"):
        row |= interval(row["samples"])._asdict()
    row.setdefault("status", "error" if pd.isna(row.get("value")) else "ok")
    return {**row, "date": row.get("date") or row.get("started_at")}  # a commit is older than its measurement


def interval(samples: Sequence[float]) -> Interval:
    """The median of samples with its interval, which is missing where there are too few samples for one.

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
