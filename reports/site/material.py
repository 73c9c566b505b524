"""The data of all pages: the results, the sessions that pages show, and the losses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lossimpl.spec import Case, Loss
from reports.record import frames, lists
from reports.record.lists import listed
from reports.record.schema import Record
from reports.record.stored import Problem, Stored
from reports.statistics import roofline, sessions
from reports.statistics.loading import measurements
from reports.statistics.ranking import Ranking, rankings
from reports.statistics.series import series_of
from reports.statistics.sessions import SETUP, Session

CASE = ["loss", "shape", "dtype", "device", "mode"]
HARD_CASE = ["loss", "case", "implementation", "device", "dtype"]
CONFORMANCE = [*HARD_CASE, *SETUP, "commit", "status", "input", "expected", "got", "source", "reason"]


@dataclass(frozen=True)
class Material:
    """What is stored, and the losses; a page shows the rows of one session at a time."""

    results: Stored
    losses: Mapping[str, Loss]

    @cached_property
    def _lists(self) -> dict[str, tuple[list[Record], list[Problem]]]:
        return {path.name: listed(path) for path in (lists.MUTANTS, lists.WAYS, lists.CLAIMS)}

    @property
    def mutants(self) -> list[Record]:
        """The deliberately wrong functions, each with the check that rejected it."""
        return self._lists[lists.MUTANTS.name][0]

    @property
    def ways(self) -> list[Record]:
        """Ways of calling each loss, with how many hard cases hold."""
        return self._lists[lists.WAYS.name][0]

    @property
    def claims(self) -> list[Record]:
        """Textbook claims, each with the verdict of its experiment."""
        return self._lists[lists.CLAIMS.name][0]

    @cached_property
    def problems(self) -> list[Problem]:
        """What could not be read of all that pages show."""
        return [*self.results.problems, *(problem for _, found in self._lists.values() for problem in found)]

    @cached_property
    def sessions(self) -> list[Session]:
        """Every session, newest first."""
        return sessions.sessions(self.results.counts, self.results.sessions)

    @cached_property
    def current(self) -> list[Session]:
        """The session of each machine and environment that pages show, newest first."""
        return sessions.current(self.sessions)

    @cached_property
    def tables(self) -> list[Session]:
        """The session of each machine and environment whose table of all cases is shown."""
        return [sessions.table(one, self.sessions) for one in self.current]

    @cached_property
    def shown(self) -> list[Session]:
        """The sessions that any page shows."""
        return [one for one in self.sessions if one in self.current or one in self.tables]

    @cached_property
    def statuses(self) -> dict[tuple[str, ...], Counter[str]]:
        """How many rows of each session had each status, by the `SESSION` of its rows."""
        counts = self.results.counts
        keys = counts[frames.SESSION].itertuples(index=False, name=None)
        return {tuple(map(str, key)): Counter(one) for key, one in zip(keys, counts["statuses"], strict=True)}

    @cached_property
    def _rows_of(self) -> dict[Session, pd.DataFrame]:
        return {one: self.rated(self.results.rows_of(one.key)) for one in self.shown}

    def rated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with the traffic and the rates that follow from them."""
        return roofline.with_rates(_with_traffic(rows[frames.COLUMNS], self.losses))

    @property
    def no_rows(self) -> pd.DataFrame:
        """A frame with the columns of rows."""
        return self.rated(frames.frame([]))

    @cached_property
    def series(self) -> pd.DataFrame:
        """Every series with its change points."""
        return series_of(self.results)

    @cached_property
    def _rankings_of(self) -> dict[Session, list[Ranking]]:
        return {one: rankings(rows) for one, rows in self._rows_of.items()}

    def rows_of(self, session: Session) -> pd.DataFrame:
        """The rows of a session that is shown."""
        return self._rows_of[session]

    def rankings_of(self, session: Session, device: str = "") -> list[Ranking]:
        """The cases of a session that is shown, on one device or all."""
        return [one for one in self._rankings_of[session] if device in ("", one.case["device"])]

    def devices_of(self, session: Session) -> list[str]:
        """The devices of a session that is shown."""
        return sorted(set(self._rows_of[session]["device"]))

    @cached_property
    def loading(self) -> pd.DataFrame:
        """The rows of loader settings, from the sweep and from `lossimpl loaders`, each dataset from one source."""
        return measurements(self.results.loading.dropna(axis="columns", how="all"), self.loaders)

    @property
    def loaders(self) -> pd.DataFrame:
        """What `lossimpl loaders` stored, oldest first, with the `date` of its commit."""
        side = self.results.loaders
        if side.empty:
            return side
        dated = side.assign(date=self.results.dates(side["commit"]))
        return dated.sort_values("date", kind="stable", na_position="first").reset_index(drop=True)

    @cached_property
    def conformance(self) -> pd.DataFrame:
        """The hard cases as text: of each device those of one machine, environment and commit, the newest."""
        side = self.results.conformance.reindex(columns=CONFORMANCE)
        dates = self.results.dates(side["commit"])
        source = [*SETUP, "commit", "device"]
        by_date = side.assign(date=dates).sort_values("date", kind="stable", na_position="first")
        newest = by_date.drop_duplicates("device", keep="last").set_index(source).index
        chosen = side[side.set_index(source).index.isin(newest)]
        return chosen.drop_duplicates(HARD_CASE, keep="last").map(_text)

    @property
    def loss_names(self) -> list[str]:
        """The order of the catalogue, then losses that only the results have."""
        return list(dict.fromkeys([*self.losses, *self.results.losses]))


def gather(folder: Path, losses: Mapping[str, Loss] | None = None) -> Material:
    """Read `folder` by its archive; `losses` defaults to those of the installed package."""
    return of(Stored.of(folder), losses)


def of(stored: Stored, losses: Mapping[str, Loss] | None = None) -> Material:
    """The material of what is stored."""
    if losses is None:
        from lossimpl import LOSSES  # imports torch

        losses = LOSSES
    return Material(stored, losses)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _with_traffic(rows: pd.DataFrame, losses: Mapping[str, Loss]) -> pd.DataFrame:
    """Rows without a side-car get the traffic of their case from the loss."""
    missing = (
        rows["traffic"].isna()
        & rows["loss"].isin(list(losses))
        & rows["shape"].astype(str).str.fullmatch(roofline.SHAPE)
    )
    known = rows[missing].drop_duplicates(CASE)
    traffic = {tuple(row[name] for name in CASE): _traffic(row, losses) for row in known.to_dict("records")}
    found = [traffic.get(key) for key in zip(*(rows[name] for name in CASE), strict=True)]
    return rows.assign(traffic=rows["traffic"].where(~missing, pd.Series(found, rows.index, dtype=float)))


def _traffic(row: Mapping[Any, Any], losses: Mapping[str, Loss]) -> float:
    shape = tuple(int(size) for size in row["shape"].split("x"))
    case = Case(row["loss"], shape, dtype=row["dtype"], device=row["device"], mode=row["mode"])
    return float(losses[row["loss"]].traffic(case))
