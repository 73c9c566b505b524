"""Everything measured, as the pages ask for it: one session at a time whole, all others as counts and points."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lossimpl import identity
from reports.record import columns
from reports.record.archive import Archive
from reports.record.documents import DOCUMENTS
from reports.record.formats import side_row
from reports.record.frames import SESSION, frame, session_frame
from reports.record.mirror import mirror
from reports.record.query import LIGHT, Queries
from reports.record.rounds import counted
from reports.record.schema import Record
from reports.record.summary import OF_LOADERS, OF_LOSSES, TIMED
from reports.record.units import Problem as Problem

POINT = ["env", "commit", "session", "row", "benchmark", "params", "implementation", "value", "low", "high"]
NEVER = "TIMESTAMPTZ '1970-01-01'"


def cache_of(folder: Path) -> Path:
    """Where the archive of a results folder is kept: beside it, outside version control."""
    name = "record" if folder.name == "results" else f"record-{folder.name}"
    return folder.resolve().parent / ".asv" / name


class Stored:
    """An archive's answers. `problems` are of the folder itself, beside those that the archive has of its files."""

    def __init__(self, archive: Archive, problems: Iterable[Problem] = ()) -> None:
        self.archive, self.queries = archive, Queries(archive)
        self.problems = [*problems, *self.queries.problems()]

    @classmethod
    def of(cls, folder: Path) -> Stored:
        """What is under a results folder, by its archive, which is brought up to date first."""
        return cls(*mirror(folder, cache_of(folder)))

    @cached_property
    def documents(self) -> dict[str, dict[str, Record]]:
        """The JSON files of each machine, by their name and its own."""
        found: dict[str, dict[str, Record]] = {name: {} for name in DOCUMENTS}
        sql = "SELECT key, machine, record FROM documents ORDER BY machine"
        for name, machine, record in self.queries.connection.execute(sql).fetchall():
            found[name][machine] = json.loads(record)
        return found

    @property
    def machines(self) -> dict[str, Record]:
        """What asv knows of each machine."""
        names = dict.fromkeys(one.machine for one in self.archive.partitions)
        return {name: self.documents["machine.json"].get(name, {}) for name in names}

    @property
    def selftests(self) -> dict[str, Record]:
        """The gate's self-test of each machine."""
        return self.documents["gate-selftest.json"]

    @property
    def loader_tests(self) -> dict[str, Record]:
        """The loaders' self-test of each machine."""
        return self.documents["loaders-selftest.json"]

    @property
    def sweep_tests(self) -> dict[str, Record]:
        """How often a session's intervals cover the next one's, of each machine."""
        return self.documents["sweep-selftest.json"]

    @property
    def replayed(self) -> dict[str, Record]:
        """How many stored numbers were reproduced on each machine."""
        return self.documents["replay.json"]

    @cached_property
    def manifests(self) -> list[Record]:
        """Every manifest, with its place."""
        return self.queries.records("manifest")

    @cached_property
    def nights(self) -> list[Record]:
        """What nights reported."""
        sql = "SELECT machine, record FROM nights ORDER BY machine, line"
        rows = self.queries.connection.execute(sql).fetchall()
        return [json.loads(record) | {"machine": machine} for machine, record in rows]

    @cached_property
    def health(self) -> list[Record]:
        """What each night planned and what became of it, of each machine the oldest first."""
        return self.queries.records("nightly")

    @cached_property
    def loaders(self) -> pd.DataFrame:
        """What `lossimpl loaders` stored."""
        return pd.DataFrame(self.queries.records("loaders"))

    @cached_property
    def conformance(self) -> pd.DataFrame:
        """The hard cases of the newest commit of each machine and environment."""
        sql = f"""
            WITH held AS (SELECT DISTINCT machine, env, commit FROM conformance),
            newest AS (
                SELECT machine, env, arg_max(commit, coalesce(date, {NEVER})) AS commit
                FROM held JOIN runs USING (machine, env, commit) GROUP BY ALL)
            SELECT conformance.* FROM conformance JOIN newest USING (machine, env, commit)
            ORDER BY machine, commit, env, line"""
        found = self.queries.frame(sql).drop(columns=["month", "line"])
        rest = [json.loads(text) if isinstance(text, str) else {} for text in found.pop("other")]
        return found.assign(**{name: [one.get(name) for one in rest] for name in {key for one in rest for key in one}})

    @cached_property
    def commits(self) -> pd.DataFrame:
        """By commit, its `date`, or when it was measured first where asv does not know it, and the `newest` time."""
        sql = "SELECT commit, min(date) AS date, max(newest) AS newest FROM summary GROUP BY commit"
        return self.queries.frame(f"{sql} ORDER BY date, commit").set_index("commit")

    def dates(self, commits: pd.Series[str]) -> pd.Series[Any]:
        """The date of each of these commits."""
        return pd.Series(self.commits["date"].reindex(commits).array, index=commits.index)

    @cached_property
    def counts(self) -> pd.DataFrame:
        """By session, how many rows of losses it has, timed and `ranked` ones, when it began, and its statuses."""
        sql = """
            SELECT machine, env, commit, session, started_at, timed, ranked, points, statuses
            FROM summary WHERE len(losses) > 0 ORDER BY machine, env, commit, session"""
        found = self.queries.frame(sql)
        return found.assign(date=self.dates(found["commit"]))

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """What sessions wrote about themselves."""
        return session_frame(
            one | {"began_at": _time(one.get("began_at")), "commit": one["commit"][:8]}
            for one in self.queries.records("sessions")
        )

    @cached_property
    def losses(self) -> list[str]:
        """Every loss that has rows."""
        found = self.queries.connection.execute("SELECT DISTINCT unnest(losses) AS loss FROM summary ORDER BY loss")
        return [str(name) for (name,) in found.fetchall()]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row, without its rounds and samples."""
        names = ", ".join(["machine", *LIGHT])
        found = self.queries.frame(f"SELECT {names} FROM rows ORDER BY machine, env, commit, session, line")
        return found.assign(date=self.dates(found["commit"]), params=found["params"].map(tuple))

    def rows_of(self, session: Sequence[str], of: str = OF_LOSSES) -> pd.DataFrame:
        """The rows of one session (values of `SESSION`), whole, in the order of its files."""
        where = " AND ".join(f"{name} = ?" for name in SESSION)
        sql = f"SELECT * FROM rows WHERE {where} AND {of} ORDER BY line"
        rows = self.queries.connection.sql(sql, params=list(session)).to_arrow_table().to_pylist()
        found = frame(map(_read, rows))
        return found.assign(date=self.dates(found["commit"]))

    def version_of(self, session: Sequence[str]) -> str:
        """Where the rows of a session are: another place when anything in its partition has changed."""
        machine, env, commit = session[:3]
        held = (one for one in self.archive.partitions if one.machine == machine and f"{commit}-{env}" in one.units)
        return "".join(self.archive.where.path(one.path("rows")) for one in held)

    def lines_of(self, session: Sequence[str], loss: str) -> list[Record]:
        """The rows of a loss in one session as they were stored, except for those whose samples were compacted."""
        where = " AND ".join(f"{name} = ?" for name in SESSION)
        sql = f"SELECT * FROM rows WHERE {where} AND loss = ? AND line > 0 AND quantiles IS NULL ORDER BY line"
        found = self.queries.connection.sql(sql, params=[*session, loss]).to_arrow_table().to_pylist()
        return [_line(row) for row in found]

    @cached_property
    def loading(self) -> pd.DataFrame:
        """The rows of loaders: of each machine, environment and dataset those of the newest commit's newest session."""
        sql = """
            SELECT machine, env, dataset, arg_max({'commit': commit, 'session': session},
                {'date': coalesce(dates.date, $never), 'started': coalesce(loaded_at, $never)}) AS newest
            FROM (SELECT *, unnest(datasets) AS dataset FROM summary) JOIN dates USING (commit)
            GROUP BY ALL ORDER BY ALL"""
        self.queries.connection.register("dates", self.commits.reset_index()[["commit", "date"]])
        found = self.queries.connection.execute(sql.replace("$never", NEVER)).fetchall()
        sessions = dict.fromkeys((machine, env, *newest.values()) for machine, env, _, newest in found)
        rows = [self.rows_of(one, OF_LOADERS) for one in sessions]
        return pd.concat(rows, ignore_index=True) if rows else frame([])

    def points(self, figures: Sequence[pd.DataFrame], newest: int) -> list[pd.DataFrame]:
        """The points of each figure's series (rows of `statistics.series`, of one machine each).

        At most those of so many commits, the newest. Figures of the same machine and months are one query.
        """
        places = [(str(one["machine"].iloc[0]), set(one["last"])) for one in figures]
        ranges = [(machine, *self._months(machine, last, newest)) for machine, last in places]
        found = {
            months: self._points(*months, [one for one, other in zip(figures, ranges, strict=True) if other == months])
            for months in set(ranges)
        }
        return [self._newest(found[months], one, newest) for months, one in zip(ranges, figures, strict=True)]

    def _points(self, machine: str, first: str, last: str, figures: Sequence[pd.DataFrame]) -> pd.DataFrame:
        names = list(dict.fromkeys(name for one in figures for name in one["row"]))
        sql = f"""
            SELECT {", ".join(["machine", *POINT])} FROM rows
            WHERE machine = ? AND month BETWEEN ? AND ? AND row IN ({", ".join("?" * len(names))}) AND {TIMED}
            QUALIFY row_number() OVER (PARTITION BY env, row, commit, session <> ''
                ORDER BY started_at DESC NULLS LAST, line DESC) = 1
            ORDER BY commit, env, line"""
        found = self.queries.frame(sql, [machine, first, last, *names])
        return found.assign(date=self.dates(found["commit"]), params=found["params"].map(tuple))

    def _newest(self, points: pd.DataFrame, series: pd.DataFrame, newest: int) -> pd.DataFrame:
        """The points of some series, of the newest commits."""
        rounded = series.set_index(["env", "row"])["rounded"].reindex([points["env"], points["row"]])
        found = points[rounded.to_numpy() == (points["session"] != "")]
        kept = set(self.commits.index[self.commits.index.isin(found["commit"])][-newest:])
        return pd.DataFrame(found[found["commit"].isin(kept)])

    def _months(self, machine: str, last: set[str], newest: int) -> tuple[str, str]:
        """The first and the last month of a machine that have the `newest` commits up to the `last` ones."""
        months = [one for one in self.archive.partitions if one.machine == machine and "rows" in one.files]
        end = max(place for place, one in enumerate(months) if one.commits & last)
        start, count = end, len(months[end].commits)
        while start and count < newest:
            start -= 1
            count += len(months[start].commits)
        return months[start].month, months[end].month


def _time(value: Any) -> pd.Timestamp | None:
    from reports.record.formats import time

    return time(value, "began_at")


def _line(row: Record) -> Record:
    """The line of a row of the table, with its machine and its commit, which older lines lack."""
    return {"machine": row["machine"], "commit": row["commit"]} | columns.record_of(row)


def _read(row: Record) -> Record:
    """A row of the table as it is read from a file."""
    held = {name: value for name, value in row.items() if value is not None}
    for name in ("line", "row", "other", "quantiles", "month", "rounds", "samples"):
        held.pop(name, None)
    held["params"] = tuple(row["params"])
    if row["line"] > 0:
        held["id"] = identity.row_id(_line(row))
    if row["rounds"] is None and row["samples"]:
        held["samples"] = tuple(row["samples"])
    if row["benchmark"].startswith("loading."):
        return {**held, **(side_row(columns.record_of(row)) if row["line"] > 0 else {}), "session": row["session"]}
    if row["rounds"] is None:
        return held
    rounds = counted(row["rounds"], row["status"])
    ceilings = {one["number"]: one["ceiling"] for one in rounds if one["ceiling"]}
    return held | {"times": {one["number"]: one["seconds"] for one in rounds}, "ceilings": ceilings}
