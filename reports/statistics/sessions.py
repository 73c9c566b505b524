"""Which session a statement is about: rows of different sessions, commits, machines or environments never meet in one.

A page shows one session of each machine and environment, and the table of all cases may come from an older one that
measured more. All other sessions are history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.record.reader import SESSION

SETUP = ["machine", "env"]
SERIES = [*SETUP, "benchmark", "params"]  # what a history follows over commits
WHOLE = ("table", "full")  # the grids that measure the table of all cases
MOST = 0.5  # of a session's timed rows


@dataclass(frozen=True)
class Session:
    """One sweep of a machine: where, what, when, and how long; `id` is empty for rows that one process each measured.

    `decided` is the fraction of its timed rows that can be ranked. Numbers are NaN where the session did not store
    them.
    """

    machine: str
    env: str
    commit: str
    id: str
    grid: str
    began_at: pd.Timestamp
    decided: float
    seconds: float = float("nan")
    timed_seconds: float = float("nan")
    rounds: float = float("nan")

    @property
    def decides(self) -> bool:
        """Whether any of its rows can be ranked."""
        return self.decided > 0

    @property
    def preference(self) -> tuple[bool, bool, bool]:
        """Sorts the sessions that say most first: most of their rows can be ranked, or some, or they have rounds."""
        return self.decided < MOST, not self.decides, not self.id

    @property
    def setup(self) -> tuple[str, str]:
        """Its machine and environment."""
        return self.machine, self.env

    @property
    def key(self) -> tuple[str, ...]:
        """What its rows have in the columns of `SESSION`."""
        return self.machine, self.env, self.commit, self.id

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Its rows among those of all sessions."""
        return rows[(rows[SESSION] == pd.Series(self.key, index=SESSION)).all(axis=1)]


def sessions(counts: pd.DataFrame, stored: pd.DataFrame) -> list[Session]:
    """Every session that has rows, newest first.

    `counts` has by session how many of its rows have a time (`timed`) and can be ranked (`ranked`), when its first row
    was measured (`started_at`) and the `date` of its commit; `stored` what the sessions themselves wrote down.
    """
    if counts.empty:
        return []
    found = counts.assign(decided=counts["ranked"] / counts["timed"].clip(lower=1)).merge(
        stored, on=SESSION, how="left"
    )
    found["began_at"] = found["began_at"].fillna(found["started_at"]).fillna(found["date"])
    ordered = found.sort_values("began_at", ascending=False, na_position="last", kind="stable")
    return list(map(_session, ordered.to_dict("records")))


def _session(row: dict[Any, Any]) -> Session:
    return Session(
        machine=row["machine"],
        env=row["env"],
        commit=row["commit"],
        id=row["session"],
        grid=row["grid"] if isinstance(row["grid"], str) else "",
        **{name: row[name] for name in ("began_at", "decided", "seconds", "timed_seconds", "rounds")},
    )


def current(newest_first: Sequence[Session]) -> list[Session]:
    """The session of each machine and environment that its pages show.

    The newest that can rank most of its rows, else the newest that can rank any: one that others disturbed hides none
    that nothing disturbed.
    """
    chosen: dict[tuple[str, str], Session] = {}
    for one in sorted(newest_first, key=lambda one: one.preference):
        chosen.setdefault(one.setup, one)
    return [one for one in newest_first if chosen[one.setup] is one]


def table(shown: Session, newest_first: Iterable[Session]) -> Session:
    """The session that the table of all cases shows: the newest on a whole grid, or else the one that is `shown`."""
    whole = (one for one in newest_first if one.setup == shown.setup and one.grid in WHOLE and one.decided >= MOST)
    return next(whole, shown)


def timed(rows: pd.DataFrame) -> pd.Series[bool]:
    """Correct, undisturbed, and with a time."""
    return (rows["status"] == "ok") & rows["value"].between(0, float("inf"), inclusive="neither")


def rankable(rows: pd.DataFrame) -> pd.Series[bool]:
    """Timed, with an interval between runs."""
    return timed(rows) & rows["low"].notna() & rows["high"].notna()


def points(rows: pd.DataFrame) -> pd.DataFrame:
    """At most one row per series and commit, for a history: that of its newest session.

    A series that was measured in rounds has no points from before, since a time of one process is another quantity.
    """
    in_rounds = rows["session"] != ""
    later = rows[in_rounds | ~in_rounds.groupby([rows[name] for name in SERIES]).transform("any")]
    return later.sort_values("started_at", kind="stable", na_position="first").drop_duplicates(
        [*SERIES, "commit"], keep="last"
    )
