"""Ranks over frames: which rows may be ranked, which case stands for a loss. Pure: frames in, frames out.

Only rows with a correct result, a possible time and an interval are ranked, by `lossimpl.ranking`.
"""

from __future__ import annotations

import pandas as pd

from lossimpl.ranking import Interval, ranks

SETUP = ["machine", "env"]
CASE = [*SETUP, "loss", "shape", "dtype", "device", "mode"]


def interval_of(row: pd.Series) -> Interval:
    """The time of a row with its interval."""
    return Interval(float(row["value"]), float(row["low"]), float(row["high"]))


def rankable(rows: pd.DataFrame) -> pd.Series[bool]:
    """Correct, timed, and with an interval."""
    timed = rows["value"].between(0, float("inf"), inclusive="neither") & rows["low"].notna() & rows["high"].notna()
    return (rows["status"] == "ok") & timed


def ranked(case: pd.DataFrame) -> pd.DataFrame:
    """The rows of one case, fastest first, with `rank` (from 1; missing for those that are not ranked).

    >>> case = pd.DataFrame({"status": ["ok", "ok", "ok", "wrong"], "value": [3.0, 1.0, 1.1, 0.1],
    ...                      "low": [2.9, 0.9, 1.0, 0.1], "high": [3.1, 1.1, 1.2, 0.1]})
    >>> ranked(case)[["value", "rank"]].values.tolist()
    [[1.0, 1.0], [1.1, 1.0], [3.0, 3.0], [0.1, nan]]
    """
    fair = rankable(case)
    ordered = case[fair].sort_values("value", kind="stable")
    places = [float(rank) for rank in ranks([interval_of(row) for _, row in ordered.iterrows()])]
    return pd.concat([ordered.assign(rank=places), case[~fair].assign(rank=float("nan"))])


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest measurement of each row; asv's skips without a reason never hide one."""
    by_time = rows[rows["status"] != "skipped"].sort_values(["date", "started_at"], na_position="first", kind="stable")
    return by_time.drop_duplicates([*SETUP, "benchmark", "params"], keep="last").sort_index()


def loss_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of losses, without those of loaders."""
    return rows[rows["loss"].notna() & rows["mode"].notna()]


def headlines(rows: pd.DataFrame) -> pd.DataFrame:
    """For each machine, environment, loss and device the case that stands for it, as rows of `CASE`.

    A training step before a forward pass, float32 before other types, then the largest case with a comparison.
    """
    if rows.empty:
        return rows[CASE]
    cases = (
        rows.assign(fair=rankable(rows)).groupby(CASE, sort=False).agg(fair=("fair", "sum"), size=("elements", "max"))
    )
    cases = cases.reset_index()
    keys = pd.DataFrame({
        "mode": cases["mode"] != "step", "dtype": cases["dtype"] != "float32",
        "fair": -cases["fair"].clip(upper=2), "size": -cases["size"],
    })  # fmt: skip
    best_first = cases.loc[keys.sort_values(list(keys.columns), kind="stable").index]
    return best_first.drop_duplicates([*SETUP, "loss", "device"]).sort_index()[CASE]


def of_case(rows: pd.DataFrame, case: pd.Series) -> pd.DataFrame:
    """The rows of one case, ranked."""
    return ranked(rows[(rows[CASE] == case[CASE]).all(axis=1)])


def smallest(rows: pd.DataFrame) -> pd.DataFrame:
    """For each machine, environment, loss and device the case with the fewest elements, where overhead dominates."""
    small = rows.groupby([*SETUP, "loss", "device"])["elements"].transform("min")
    return headlines(rows[rows["elements"] == small])
