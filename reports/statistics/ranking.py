"""Who is fastest, and what cannot be told apart. Pure: frames in, frames out.

Only rows that gave a right result in a possible time are ranked. Two rows whose intervals overlap are a tie.
"""

from __future__ import annotations

import pandas as pd

SETUP = ["machine", "env"]
CASE = [*SETUP, "loss", "shape", "dtype", "device", "mode"]


def rankable(rows: pd.DataFrame) -> pd.Series[bool]:
    """Right, timed, and with an interval: one sample alone cannot be told from another."""
    timed = rows["value"].between(0, float("inf"), inclusive="neither") & rows["low"].notna() & rows["high"].notna()
    return (rows["status"] == "ok") & timed


def ranked(case: pd.DataFrame) -> pd.DataFrame:
    """One case's rows, fastest first, with `rank` (from 1; missing where not ranked).

    A row shares the rank of the fastest row before it whose interval it overlaps.

    >>> case = pd.DataFrame({"status": ["ok", "ok", "ok", "wrong"], "value": [3.0, 1.0, 1.1, 0.1],
    ...                      "low": [2.9, 0.9, 1.0, 0.1], "high": [3.1, 1.1, 1.2, 0.1]})
    >>> ranked(case)[["value", "rank"]].values.tolist()
    [[1.0, 1.0], [1.1, 1.0], [3.0, 3.0], [0.1, nan]]
    """
    fair = rankable(case)
    ordered = case[fair].sort_values("value", kind="stable")
    ranks: list[int] = []
    reach = float("-inf")
    for place, (low, high) in enumerate(zip(ordered["low"], ordered["high"], strict=True), start=1):
        if low > reach:
            reach = high
            ranks.append(place)
        else:
            ranks.append(ranks[-1])
    return pd.concat([ordered.assign(rank=[float(rank) for rank in ranks]), case[~fair].assign(rank=float("nan"))])


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row's newest measurement; asv's bare skips say nothing and never hide one."""
    told = rows[rows["status"] != "skipped"]
    by_time = told.sort_values(["date", "started_at"], na_position="first", kind="stable")
    return by_time.drop_duplicates([*SETUP, "benchmark", "params"], keep="last").sort_index()


def loss_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["loss"].notna() & rows["mode"].notna()]


def headlines(rows: pd.DataFrame) -> pd.DataFrame:
    """For each machine, environment, loss and device the case to speak of first, as rows of `CASE`.

    A training step before a forward pass, float32 before other types, then the largest case with something to compare.
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
    """Of each machine, environment, loss and device the case with the fewest elements: where overhead rules."""
    small = rows.groupby([*SETUP, "loss", "device"])["elements"].transform("min")
    return headlines(rows[rows["elements"] == small])


def ratio(slow: pd.Series, fast: pd.Series) -> tuple[float, float, float]:
    """How many times longer `slow` takes than `fast`, with the widest bounds that both intervals allow."""
    bounds = slow["low"] / fast["high"], slow["high"] / fast["low"] if fast["low"] > 0 else float("inf")
    return slow["value"] / fast["value"], *bounds
