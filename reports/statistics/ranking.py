"""The rows of a case in one session, ranked by their ratios within rounds. Frames in, values out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lossimpl.ranking import Interval, paired, paired_ranks
from reports.record.frames import SESSION
from reports.statistics.sessions import rankable

Row = Mapping[str, Any]
CASE = [*SESSION, "loss", "shape", "dtype", "device", "mode"]


@dataclass(frozen=True)
class Ranking:
    """All rows of one case in one session: those that are ranked first, fastest first, each with its `rank` or NaN."""

    rows: tuple[Row, ...]

    @property
    def case(self) -> Row:
        """A row, for the fields that all rows of the case share."""
        return self.rows[0]

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that have a rank."""
        return tuple(row for row in self.rows if has_rank(row))

    @property
    def fastest(self) -> tuple[str, ...]:
        """The implementations of rank 1."""
        return tuple(row["implementation"] for row in self.ranked if row["rank"] == 1)

    def get(self, name: str) -> Row | None:
        """The row of an implementation, ranked or not, None where it does not exist or cannot run here."""
        return next((row for row in self.rows if row["implementation"] == name and available(row)), None)


def available(row: Row) -> bool:
    """Whether the implementation could run."""
    return row["status"] not in ("unavailable", "skipped")


def has_rank(row: Row) -> bool:
    """Whether the row is ranked."""
    return not math.isnan(row["rank"])


def rankings(rows: pd.DataFrame) -> list[Ranking]:
    """One per case and session, in the order of the rows.

    >>> common = {"machine": "m", "env": "e", "commit": "c", "session": "s", "loss": "l1_loss", "shape": "8"}
    >>> common |= {"dtype": "float32", "device": "cpu", "mode": "step", "status": "ok"}
    >>> def row(name, *seconds):
    ...     times = dict(enumerate(seconds))
    ...     return common | {"implementation": name, "times": times, "value": seconds[0], "low": 1.0, "high": 9.0}
    >>> (found,) = rankings(pd.DataFrame([row("a", 2.0, 2.1, 2.0, 2.2), row("b", 1.0, 1.0, 1.1, 1.1)]))
    >>> [(one["implementation"], one["rank"]) for one in found.rows]
    [('b', 1.0), ('a', 2.0)]
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.assign(fair=rankable(rows)).to_dict("records"):
        groups.setdefault(tuple(row[name] for name in CASE), []).append({str(key): row[key] for key in row})
    return [Ranking(tuple(_ranked(group))) for group in groups.values()]


def _ranked(group: list[dict[str, Any]]) -> Iterator[Row]:
    fair = sorted((row for row in group if row["fair"]), key=lambda row: float(row["value"]))
    for row, rank in zip(fair, paired_ranks([row["times"] for row in fair]), strict=True):
        yield row | {"rank": float(rank)}
    yield from (row | {"rank": math.nan} for row in group if not row["fair"])


def times_as_long(slow: Row, fast: Row) -> Interval | None:
    """How many times as long `slow` takes as `fast`, paired within rounds.

    None for rows of two sessions, of two cases, or without a round in common.
    """
    if any(slow[name] != fast[name] for name in CASE):
        return None
    return paired(slow["times"], fast["times"])
