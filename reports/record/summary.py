"""What each session of a partition has, counted when the partition is written: pages read this, and not all rows."""

from __future__ import annotations

import duckdb
import pyarrow as pa

TIMED = "status = 'ok' AND value > 0 AND value < 'infinity'"
OF_LOSSES = "loss IS NOT NULL AND mode IS NOT NULL AND status <> 'skipped'"
OF_LOADERS = "starts_with(benchmark, 'loading.') AND status <> 'skipped'"
TEXT, COUNT, TIME = pa.string(), pa.int64(), pa.timestamp("us", "UTC")
SUMMARY = pa.schema(
    [
        *((name, TEXT) for name in ("env", "commit", "session")),
        *((name, TIME) for name in ("date", "newest", "started_at", "loaded_at")),
        *((name, COUNT) for name in ("timed", "ranked", "points")),
        ("statuses", pa.map_(TEXT, COUNT)),
        *((name, pa.list_(TEXT)) for name in ("losses", "datasets")),
    ]
)
SQL = f"""
    SELECT env, commit, session, min(date) AS date, max(started_at) AS newest,
        min(started_at) FILTER ({OF_LOSSES}) AS started_at, max(started_at) FILTER ({OF_LOADERS}) AS loaded_at,
        count(value) FILTER ({OF_LOSSES}) AS timed,
        count(*) FILTER ({OF_LOSSES} AND {TIMED} AND low IS NOT NULL AND high IS NOT NULL) AS ranked,
        count(*) FILTER ({OF_LOSSES} AND {TIMED}) AS points,
        (histogram(status) FILTER ({OF_LOSSES}))::MAP(VARCHAR, BIGINT) AS statuses,
        list_sort(list(DISTINCT loss) FILTER ({OF_LOSSES})) AS losses,
        list_sort(list(DISTINCT dataset) FILTER ({OF_LOADERS})) AS datasets
    FROM counted GROUP BY env, commit, session ORDER BY env, commit, session"""
READ = [
    "env", "commit", "session", "date", "started_at", "status", "value", "low", "high", "loss", "mode", "benchmark",
    "dataset",
]  # fmt: skip


def summary(rows: pa.Table) -> pa.Table:
    """One line per session of a table of rows.

    When its commit was made (`date`) and it was measured last (`newest`); of its losses when the first was measured
    (`started_at`), how many rows have a time (`timed`), a time that counts (`points`) and an interval (`ranked`), and
    how many have each status; the losses and datasets that it has, and when a loader was measured last.
    """
    if not rows.num_rows:
        return SUMMARY.empty_table()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("counted", rows.select(READ))
    return connection.sql(SQL).to_arrow_table().cast(SUMMARY)
