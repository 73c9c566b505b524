"""Every series of the record with its change points, machine by machine and month by month.

What is known of a machine's series after a month follows from what was known after the month before, and from the rows
of this month. The states after the newest months are kept beside the archive, so that a night reads one month, however
long the history is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from reports.record.stored import Stored
from reports.record.summary import TIMED
from reports.statistics.changes import Event, Finding, Series, events
from reports.statistics.continued import IDENTITY, SCHEMA, Points, Record, continued
from reports.statistics.sessions import SERIES

VERSION = 2  # of what is kept, change points included
KEPT = 3  # months whose states are kept: a commit may be measured that is older than the newest
RECENT = 60  # commits among which the last two points of a series are looked for
STATES = SCHEMA.append(pa.field("month", pa.string()))


def series_of(stored: Stored) -> pd.DataFrame:
    """One row per series of every machine.

    Its name (`machine`, `env`, `row` and `IDENTITY`), how many `points` it has, its `first` and `last` commit, when it
    was measured last (`newest`), whether in rounds (`rounded`), its `changes` (records of `position`, `commit`,
    `before`, `ratio`, `confidence`) and its last two points with intervals, `before` and `now`.
    """
    found = [_of_machine(stored, machine) for machine in stored.machines]
    return pd.concat(found, ignore_index=True) if found else _frame(STATES.empty_table(), "", {})


def _of_machine(stored: Stored, machine: str) -> pd.DataFrame:
    keys = _keys(stored, machine)
    states = _kept(stored.archive.derived("states", machine), keys)
    remaining = [month for month in keys if month > max(states, default="")]
    for months in filter(None, (remaining[: 1 - KEPT], *([month] for month in remaining[1 - KEPT :]))):
        before = states[max(states)].to_pylist() if states else []
        rows = [one | {"month": months[-1]} for one in continued(before, _points(stored, machine, months))]
        states[months[-1]] = pa.Table.from_pylist(rows, STATES)
    newest = sorted(states)[-KEPT:]
    if remaining:
        kept = pa.concat_tables([states[month] for month in newest])
        held = {"keys": json.dumps({month: keys[month] for month in newest})}
        stored.archive.derive("states", machine, kept.replace_schema_metadata(held))
    return _frame(states[newest[-1]] if newest else STATES.empty_table(), machine, _recent(stored, machine))


def _keys(stored: Stored, machine: str) -> dict[str, str]:
    """By month, oldest first, a digest of all that the state after it follows from."""
    places = {commit: place for place, commit in enumerate(stored.commits.index)}
    doubles = [one for one in stored.queries.doubles if one[0] == machine]
    found: dict[str, str] = {}
    digest = f"{VERSION}"
    for one in stored.archive.partitions:
        if one.machine == machine and "rows" in one.files:
            commits = sorted(one.commits & places.keys(), key=places.__getitem__)
            held = (digest, one.month, one.files["rows"], commits, [two for two in doubles if two[2] in one.commits])
            found[one.month] = digest = hashlib.sha256(repr(held).encode()).hexdigest()[:16]
    return found


def _kept(table: pa.Table | None, keys: Mapping[str, str]) -> dict[str, pa.Table]:
    """The states that still hold, by month."""
    if table is None:
        return {}
    held = json.loads((table.schema.metadata or {}).get(b"keys", b"{}"))
    return {
        month: table.filter(pc.equal(table["month"], month)) for month, key in held.items() if keys.get(month) == key
    }


def _points(stored: Stored, machine: str, months: Sequence[str]) -> Iterator[tuple[Record, Points]]:
    """The series of a machine that were timed in some months, and one point of each for a commit: its newest session's.

    A series that was measured in rounds has no points of one process.
    """
    connection, within = stored.queries.connection, [machine, months[0], months[-1]]
    commits = stored.commits.index.to_numpy()
    connection.register("places", pd.DataFrame({"commit": commits, "place": range(len(commits))}))
    kept = ", ".join(f"any_value({name}) AS {name}" for name in IDENTITY)
    timed = f"rows WHERE machine = ? AND month BETWEEN ? AND ? AND {TIMED}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE named AS SELECT env, row, {kept}, max(started_at) AS newest, "
        f"bool_or(session <> '') AS rounded, row_number() OVER (ORDER BY row, env) - 1 AS id "
        f"FROM {timed} GROUP BY env, row",
        within,
    )
    found = connection.sql(
        f"WITH timed AS (SELECT * FROM {timed}) SELECT id, place, line, value, low, high, coalesce(version, '') AS "
        "version, epoch_us(coalesce(started_at, TIMESTAMPTZ '1970-01-01')) AS started FROM timed "
        "JOIN named USING (env, row) JOIN places USING (commit) WHERE session <> '' OR NOT rounded",
        params=within,
    ).fetchnumpy()
    columns = {name: np.ma.filled(column, np.nan) for name, column in found.items() if name != "version"}
    order = np.lexsort(tuple(columns[name] for name in ("line", "started", "place", "id")))
    series, place = (columns[name][order] for name in ("id", "place"))
    last = order[np.append((np.diff(series) != 0) | (np.diff(place) != 0), True)[: len(order)]]
    whole = Points(
        commits[columns["place"][last]],
        np.asarray(found["version"])[last],
        *(columns[name][last] for name in ("value", "low", "high")),
    )
    names = connection.sql("SELECT * EXCLUDE (id) FROM named ORDER BY id").to_arrow_table().to_pylist()
    bounds = np.searchsorted(columns["id"][last], range(len(names) + 1))
    for number, name in enumerate(names):
        yield name, whole.part(bounds[number], bounds[number + 1])


def _recent(stored: Stored, machine: str) -> dict[str, set[str]]:
    """By environment, the newest commits that have rows with intervals."""
    counts = stored.counts
    ranked = counts[(counts["machine"] == machine) & (counts["ranked"] > 0)]
    places = {commit: place for place, commit in enumerate(stored.commits.index)}
    by_env = {str(env): sorted(set(one), key=places.__getitem__) for env, one in ranked.groupby("env")["commit"]}
    return {env: set(commits[-RECENT:]) for env, commits in by_env.items()}


def _frame(table: pa.Table, machine: str, recent: Mapping[str, set[str]]) -> pd.DataFrame:
    names = [name for name in SCHEMA.names if not name.startswith("tail")]
    found = pd.DataFrame(table.select(names).to_pylist(), columns=names)
    pairs = zip(found["env"], found["before"], found["now"], strict=True)
    known = [bool(one) and {one["commit"], now["commit"]} <= recent.get(env, set()) for env, one, now in pairs]
    now = pd.Series([one if shown else None for one, shown in zip(found["now"], known, strict=True)], dtype=object)
    return found.assign(machine=machine, params=found["params"].map(tuple), now=now)


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
