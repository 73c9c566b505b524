"""Questions to an archive in SQL (DuckDB), and the frames that pages are made from.

Each table of the archive is a view of its name, with the columns `machine` and `month`; `rows` lacks the rows of a
session whose id another session of its machine has too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from fsspec.implementations.arrow import ArrowFSWrapper

from reports.record import columns
from reports.record.archive import Archive
from reports.record.schema import Record
from reports.record.units import Problem

MEMORY = "2GB"  # of DuckDB's own; a query that needs more writes to disk
DOUBLES = """
    WITH known AS (SELECT DISTINCT machine, month, env, commit, key AS session FROM sessions)
    SELECT machine, env, commit, session FROM known
    QUALIFY row_number() OVER (PARTITION BY machine, session ORDER BY month, env, commit) > 1"""
OF_SESSIONS = ("rows", "summary")  # without those that have another's id
LIGHT = [name for name in columns.ROWS.names if name not in ("rounds", "samples", "quantiles", "other")]


def load(archive: str | Path = ".asv/record", where: str = "true", columns: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of an archive as a frame: those for which `where`, a condition in SQL, holds; all columns but samples.

    `load(where="loss = 'mse_loss' AND machine = 'mine'")` has one row per implementation, case and session; `columns`
    chooses others, `rounds` and `samples` among them.
    """
    names = ", ".join(columns or ["machine", *LIGHT])
    return Queries(Archive(archive)).frame(f"SELECT {names} FROM rows WHERE {where} ORDER BY row, date, session")


class Queries:
    """A connection to an archive."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB in this process, which sees the archive's files and no others that it is not asked for."""
        found = duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": "false"})
        if not self.archive.where.local:
            found.register_filesystem(_Arrow(self.archive.where.system))
        for table in columns.TABLES:
            name = f"all_{table}" if table in OF_SESSIONS else table
            found.execute(f"CREATE VIEW {name} AS {self._table(found, table)}")
        found.execute(f"CREATE TABLE doubles AS {DOUBLES}")
        others = "" if _empty(found, "doubles") else " ANTI JOIN doubles USING (machine, env, commit, session)"
        for table in OF_SESSIONS:
            found.execute(f"CREATE VIEW {table} AS SELECT * FROM all_{table}{others}")
        self._changes(found)
        return found

    def _changes(self, connection: duckdb.DuckDBPyConnection) -> None:
        """`changes`: the change points that the last build of a site found, with the date of their commit."""
        held = {name: self.archive.derived("states", name) for name in {one.machine for one in self.archive.partitions}}
        found = [
            {"machine": machine, "env": row["env"], "row": row["row"], **change}
            for machine, table in held.items()
            for row in (_newest(table).to_pylist() if table is not None else ())
            for change in row["changes"]
        ]
        connection.register("found_changes", pa.Table.from_pylist(found, columns.CHANGES))
        connection.execute(
            "CREATE VIEW changes AS SELECT found_changes.*, dates.date FROM found_changes "
            "JOIN (SELECT commit, min(date) AS date FROM runs GROUP BY commit) AS dates USING (commit)"
        )

    def _table(self, connection: duckdb.DuckDBPyConnection, table: str) -> str:
        """The query that reads a table of all partitions."""
        paths = self.archive.paths(table)
        if not paths:
            connection.register(f"no_{table}", columns.TABLES[table].empty_table())
            return f"SELECT ''::VARCHAR AS machine, ''::VARCHAR AS month, * FROM no_{table}"
        prefix = "" if self.archive.where.local else "arrow://"
        listed = ", ".join("'" + f"{prefix}{path}".replace("'", "''") + "'" for path in paths)
        types = "{'machine': VARCHAR, 'month': VARCHAR}"
        return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = true, hive_types = {types})"

    @cached_property
    def doubles(self) -> list[tuple[str, ...]]:
        """The sessions whose id an earlier session of the same machine has: machine, environment, commit, id."""
        return [tuple(map(str, row)) for row in self.connection.execute("FROM doubles ORDER BY ALL").fetchall()]

    def frame(self, sql: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """The answer as a frame."""
        found = self.connection.execute(sql, list(values)).df()
        times = [name for name in found.columns if isinstance(found[name].dtype, pd.DatetimeTZDtype)]
        return found.assign(**{name: found[name].dt.tz_convert("UTC") for name in times})

    def records(self, table: str, machine: str | None = None) -> list[Record]:
        """What a table of JSON records holds, with the machine, environment and commit of each."""
        chosen = "" if machine is None else " WHERE machine = ?"
        sql = f"SELECT machine, env, commit, key, record FROM {table}{chosen} ORDER BY machine, commit, env, line"
        rows = self.connection.execute(sql, [] if machine is None else [machine]).fetchall()
        places = ({"machine": name, "env": env, "commit": commit} for name, env, commit, *_ in rows)
        return [json.loads(row[4]) | place for row, place in zip(rows, places, strict=True)]

    def problems(self) -> list[Problem]:
        """What could not be read of the files that the archive was made from, and sessions that have another's id."""
        rows = self.connection.execute("SELECT place, what FROM problems ORDER BY place, what").fetchall()
        doubles = (Problem(f"{one[0]}/{one[2]}-{one[1]}.sessions.jsonl", _double(one[3])) for one in self.doubles)
        return [*(Problem(*row) for row in rows), *doubles]


def _double(session: str) -> str:
    return f"session {session} has the id of another session of this machine; its rows are not shown"


def _empty(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return connection.execute(f"FROM {table} LIMIT 1").fetchone() is None


def _newest(table: pa.Table) -> pa.Table:
    """The changes of each series after the newest month of a table of `statistics.series`."""
    newest = table.filter(pc.equal(table["month"], pc.max(table["month"])))
    return newest.select(["env", "row", "changes"])


class _Arrow(ArrowFSWrapper):  # type: ignore[misc]  # fsspec ships no types
    """pyarrow's file system as DuckDB takes it."""

    protocol = "arrow"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """A bucket is part of the path, and no host."""
        return path.removeprefix("arrow://")
