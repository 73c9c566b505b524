"""Every series of the record with its change points, machine by machine.

They are kept beside the archive, and continued by new points.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from reports.record.query import TIMED
from reports.record.stored import Stored
from reports.statistics.changes import Change, Event, Finding, Series, events
from reports.statistics.detection import Start, detect
from reports.statistics.sessions import SERIES

Array = npt.NDArray[np.float64]
VERSION = 1  # of what is kept, change points included
RECENT = 60  # commits among which the last two points of a series are looked for
IDENTITY = ["benchmark", "params", "loss", "implementation", "shape", "dtype", "device", "mode"]
LAST = ["commit", "date", "value", "low", "high", "version"]


def series_of(stored: Stored) -> pd.DataFrame:
    """One row per series of every machine.

    Its name (`machine`, `env`, `row` and `IDENTITY`), how many `points` it has, the `first` and the newest commit's
    place among all, its `changes` (records of `position`, `commit`, `before`, `ratio`, `confidence`) and its last two
    points with intervals, `before` and `now`.
    """
    found = [_of_machine(stored, machine) for machine in stored.machines]
    return pd.concat(found, ignore_index=True) if found else _frame(SCHEMA.empty_table(), "")


def _of_machine(stored: Stored, machine: str) -> pd.DataFrame:
    key = stored.archive.state_of(machine, VERSION, stored.commits.index)
    known = stored.archive.derived("series", machine)
    if known is not None and (known.schema.metadata or {}).get(b"key") == key.encode():
        return _frame(known, machine)
    rows = list(_described(stored, machine, known.to_pylist() if known is not None else []))
    table = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata({"key": key})
    stored.archive.derive("series", machine, table)
    return _frame(table, machine)


POINT = pa.struct(
    [(name, pa.string()) for name in ("commit", "version")]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
)
CHANGE = pa.struct(
    [
        ("position", pa.int64()),
        ("commit", pa.string()),
        ("before", pa.string()),
        ("ratio", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [(name, pa.list_(pa.string()) if name == "params" else pa.string()) for name in ("env", "row", *IDENTITY)]
    + [("points", pa.int64()), ("digest", pa.int64()), ("first", pa.string()), ("newest", pa.timestamp("us", "UTC"))]
    + [("changes", pa.list_(CHANGE)), ("before", POINT), ("now", POINT)]
)


def _frame(table: pa.Table, machine: str) -> pd.DataFrame:
    found = pd.DataFrame(table.to_pylist(), columns=table.schema.names)
    return found.assign(machine=machine, params=found["params"].map(tuple))


def _described(stored: Stored, machine: str, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    names, places, values = _histories(stored, machine)
    before = {(one["env"], one["row"]): one for one in known}
    commits = stored.commits.index.to_numpy()
    starts = [_start(before.get((one["env"], one["row"])), value) for one, value in zip(names, values, strict=True)]
    pairs = _pairs(stored, machine)
    for one, place, value, changes in zip(names, places, values, detect(values, starts), strict=True):
        yield one | {
            "points": len(value),
            "digest": zlib.crc32(value.tobytes()),
            "first": commits[place[0]],
            "changes": [_change(change, commits[place]) for change in changes],
            **pairs.get((one["env"], one["row"]), {"before": None, "now": None}),
        }


def _start(known: dict[str, Any] | None, values: Array) -> Start:
    """Where detection continues: after the points that it has seen, if these are still the same."""
    if known is None or zlib.crc32(values[: known["points"]].tobytes()) != known["digest"]:
        return Start()
    found = [Change(one["position"], one["ratio"], one["confidence"]) for one in known["changes"]]
    return Start(known["points"], tuple(found))


def _change(one: Change, commits: npt.NDArray[Any]) -> dict[str, Any]:
    return {"commit": commits[one.position], "before": commits[one.position - 1], **vars(one)}


def _histories(stored: Stored, machine: str) -> tuple[list[dict[str, Any]], list[npt.NDArray[np.int64]], list[Array]]:
    """The name of each series of a machine, the places of its commits among all, and its times."""
    connection = stored.queries.connection
    places = pd.DataFrame({"commit": stored.commits.index, "place": range(len(stored.commits))})
    connection.register("places", places)
    kept = ", ".join(f"any_value({name}) AS {name}" for name in IDENTITY)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE named AS SELECT env, row, {kept}, max(started_at) AS newest, "
        f"bool_or(session <> '') AS rounded, row_number() OVER (ORDER BY row, env) - 1 AS id "
        f"FROM rows WHERE machine = ? AND {TIMED} GROUP BY env, row",
        [machine],
    )
    names = connection.sql("SELECT * EXCLUDE (rounded, id) FROM named ORDER BY id").to_arrow_table().to_pylist()
    found = connection.execute(
        "SELECT id, place, epoch_us(coalesce(started_at, TIMESTAMPTZ '1970-01-01')) AS started, value FROM rows "
        f"JOIN named USING (env, row) JOIN places USING (commit) WHERE machine = ? AND {TIMED} "
        "AND (session <> '' OR NOT rounded)",
        [machine],
    ).fetchnumpy()
    order = np.lexsort((found["started"], found["place"], found["id"]))
    series, place, value = (np.asarray(found[name])[order] for name in ("id", "place", "value"))
    last = np.append((np.diff(series) != 0) | (np.diff(place) != 0), True)[: len(series)]
    series, place, value = series[last], place[last], value[last]
    bounds = np.flatnonzero(np.diff(series)) + 1
    return names, np.split(place, bounds) if len(series) else [], np.split(value, bounds) if len(series) else []


def _pairs(stored: Stored, machine: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The last two points with intervals of each series, among the newest commits of its environment."""
    sql = f"SELECT DISTINCT env, commit FROM rows WHERE machine = ? AND {TIMED} AND low IS NOT NULL"
    measured = stored.queries.frame(sql, [machine])
    measured = measured.assign(
        place=measured["commit"].map({name: place for place, name in enumerate(stored.commits.index)})
    )
    recent = measured.sort_values("place").groupby("env").tail(RECENT)["commit"].unique().tolist()
    if not recent:
        return {}
    listed = ", ".join(f"'{commit}'" for commit in recent)
    rows = stored.points(
        f"machine = ? AND low IS NOT NULL AND high IS NOT NULL AND commit IN ({listed})", [machine], 10**9
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for (env, row), group in rows.sort_values("date", kind="stable").groupby(["env", "row"], sort=False):
        same = group[
            group["version"].fillna("") == (group["version"].iloc[-1] if pd.notna(group["version"].iloc[-1]) else "")
        ]
        if len(same) > 1:
            before, now = same[LAST].iloc[-2:].to_dict("records")
            found[str(env), str(row)] = {"before": _point(before), "now": _point(now)}
    return found


def _point(one: dict[Any, Any]) -> dict[str, Any]:
    return {name: one[name] if pd.notna(one[name]) else None for name in LAST if name != "date"}


def found_in(series: pd.DataFrame) -> list[Finding]:
    """The change points of series as findings, largest slowdown first."""
    found = [
        Finding(_named(row), one["commit"], one["before"], one["ratio"], one["confidence"])
        for row in series[series["changes"].map(len) > 0].sort_values(SERIES, kind="stable").to_dict("records")
        for one in row["changes"]
    ]
    return sorted(found, key=lambda finding: -finding.ratio)


def _named(row: dict[Any, Any]) -> Series:
    """A series by its name; its points stay in the archive."""
    return Series(row["machine"], row["env"], row["benchmark"], tuple(row["params"]), (), ())


def events_of(series: pd.DataFrame, order: Sequence[str]) -> list[Event]:
    """Where a machine continues in another environment."""
    firsts = series[["machine", "env", "first"]].drop_duplicates()
    return events(
        (Series(machine, env, "", (), (first,), ()) for machine, env, first in firsts.itertuples(index=False)), order
    )
