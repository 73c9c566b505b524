"""The data of all pages: the results, the newest row of each series, and the losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from lossimpl.spec import Case, Loss
from reports.record import reader
from reports.statistics import roofline
from reports.statistics.loading import measurements
from reports.statistics.ranking import SETUP, latest, loss_rows


@dataclass(frozen=True)
class Material:
    """`history` has every row of every loss with its rates; `rows` only the newest of each series."""

    results: reader.Results
    losses: Mapping[str, Loss]

    @cached_property
    def history(self) -> pd.DataFrame:
        return roofline.with_rates(_with_traffic(loss_rows(self.results.rows), self.losses))

    @cached_property
    def rows(self) -> pd.DataFrame:
        return latest(self.history)

    @cached_property
    def loading(self) -> pd.DataFrame:
        """The best known row of each loader setting, from the sweep and from `lossimpl loaders`."""
        rows = self.results.rows
        swept = latest(rows[rows["benchmark"].astype(str).str.startswith("loading.")]).dropna(axis="columns", how="all")
        return measurements(swept, self.loaders)

    @property
    def loaders(self) -> pd.DataFrame:
        """What `lossimpl loaders` stored, oldest first."""
        return self._by_date(self.results.loaders)

    @property
    def conformance(self) -> pd.DataFrame:
        """What `lossimpl check` stored, oldest first."""
        return self._by_date(self.results.conformance)

    def _by_date(self, side: pd.DataFrame) -> pd.DataFrame:
        """By the date of the commit, which its rows know; the file names begin with a hash and are in no such order."""
        if side.empty:
            return side
        dates = self.results.rows.groupby("commit")["date"].max()
        order = side["commit"].map(dates).sort_values(kind="stable", na_position="first").index
        return side.loc[order].reset_index(drop=True)

    @property
    def setups(self) -> list[tuple[str, str]]:
        """Machine and environment of every measurement, newest first."""
        newest = self.rows.groupby(SETUP)["started_at"].max().sort_values(ascending=False, na_position="last")
        return [(str(machine), str(env)) for machine, env in newest.index]

    def of_setup(self, setup: tuple[str, str]) -> pd.DataFrame:
        """The newest rows of one machine and environment."""
        return self.rows[(self.rows["machine"] == setup[0]) & (self.rows["env"] == setup[1])]

    @property
    def loss_names(self) -> list[str]:
        """The order of the catalogue, then losses that only the results have."""
        return list(dict.fromkeys([*self.losses, *sorted(set(self.rows["loss"]))]))


def gather(folder: Path, losses: Mapping[str, Loss] | None = None) -> Material:
    """Read `folder`; `losses` defaults to those of the installed package."""
    if losses is None:
        from lossimpl import LOSSES  # imports torch

        losses = LOSSES
    return Material(reader.read(folder), losses)


def _with_traffic(rows: pd.DataFrame, losses: Mapping[str, Loss]) -> pd.DataFrame:
    """Rows without a side-car get the traffic of their case from the loss."""
    missing = (
        rows["traffic"].isna()
        & rows["loss"].isin(list(losses))
        & rows["shape"].astype(str).str.fullmatch(roofline.SHAPE)
    )
    if not missing.any():
        return rows
    rows = rows.copy()
    rows.loc[missing, "traffic"] = [_traffic(row, losses) for _, row in rows[missing].iterrows()]
    return rows


def _traffic(row: pd.Series, losses: Mapping[str, Loss]) -> float:
    shape = tuple(int(size) for size in row["shape"].split("x"))
    case = Case(row["loss"], shape, dtype=row["dtype"], device=row["device"], mode=row["mode"])
    return float(losses[row["loss"]].traffic(case))
