"""Loader rows of the sweep and of `lossimpl loaders` in one frame, each with a rate, a label and a rank."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lossimpl import wording
from lossimpl.ranking import Interval, ranks
from reports.record.reader import SESSION, interval
from reports.statistics.sessions import SETUP

NEEDED = (
    "dataset", "status", "reason", "advice", "first_batch_seconds", "batch_seconds", "stall_fraction", "cpu_cores",
    "pss_bytes", "verdict", "attribution", "step", "consumer", "value", "low", "high", "kind", "budget", "session",
    "date", "started_at",
)  # fmt: skip
NOT_SETTINGS = ("dataset", "sampler", "batch_sampler", "collate_fn", "worker_init_fn")  # they belong to the dataset
SEARCH = "lossimpl loaders"  # what measured a row that belongs to no session


def measurements(swept: pd.DataFrame, searched: pd.DataFrame) -> pd.DataFrame:
    """One row per machine, environment, dataset and settings with `rate`, `rate_low`, `rate_high` and `label`.

    All rows of a dataset on a machine come from one source: the newest commit's search, or else its newest session.
    """
    sources = [swept.assign(searched=False)] * bool(len(swept))
    sources += [of_searches(searched).assign(session=SEARCH, searched=True)] * bool(len(searched))
    if not sources:
        return pd.DataFrame()
    rows = pd.concat(sources, ignore_index=True)
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *NEEDED])))
    rows = rows[rows["kind"].isna() | (rows["kind"] == "measurement")]
    rates = pd.DataFrame([_rate(row) for _, row in rows.iterrows()], index=rows.index, columns=["rate", "low", "high"])
    labels = [label(row) for _, row in rows.iterrows()]
    rows = rows.assign(rate=rates["rate"], rate_low=rates["low"], rate_high=rates["high"], label=labels)
    rows = rows.fillna({"status": "error", "dataset": "unnamed dataset"})
    return _best_known(_of_newest_source(rows))


def of_searches(lines: pd.DataFrame) -> pd.DataFrame:
    """The settings that searches tried: one row each with its verdict, from the newest summary of each dataset; where
    there is none, the single measurements."""
    if "tried" not in lines:
        return lines
    newest = lines[lines["kind"] == "summary"].drop_duplicates([*SETUP, "commit", "dataset"], keep="last")
    keys = [*SETUP, "commit", "dataset"]
    known = lines.set_index(keys).index.isin(newest.set_index(keys).index)
    tried = [
        {**one, **{name: line[name] for name in [*SETUP, "commit", "date"]}}
        for _, line in newest.iterrows()
        for one in line["tried"]
    ]
    return pd.concat([lines[~known], pd.DataFrame(tried)], ignore_index=True)


def _of_newest_source(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each machine, environment and dataset the rows of one commit and session."""
    newest = rows.sort_values(["date", "searched", "started_at"], kind="stable", na_position="first")
    newest = newest.drop_duplicates([*SETUP, "dataset"], keep="last")[[*SESSION, "dataset"]]
    return rows[rows.set_index([*SESSION, "dataset"]).index.isin(newest.set_index([*SESSION, "dataset"]).index)]


def _best_known(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per settings: with a verdict on the data before without, then the longest budget, then the newest."""
    order = rows.assign(judged=rows["verdict"].notna(), budget=pd.to_numeric(rows["budget"], errors="coerce").fillna(0))
    newest = order.sort_values(["judged", "budget"], kind="stable")
    newest = newest.drop_duplicates([*SETUP, "dataset", "label"], keep="last")
    return rows.loc[newest.index.sort_values()]


def _rate(row: pd.Series) -> list[float]:
    """Samples/s with its interval: over whole epochs, else in the steady state, else as asv stored it."""
    for names in (("epoch_rate", "epoch_rate_low", "epoch_rate_high"), ("rate", "rate_low", "rate_high")):
        if wording.known(row.get(names[0])):
            return [_float(row.get(name)) for name in names]
    values = row.get("samples_per_second")
    if isinstance(values, list) and values:
        return list(interval(values))
    return [1 / seconds if seconds > 0 else math.nan for seconds in map(_float, row[["value", "high", "low"]])]


def _float(value: Any) -> float:
    return float(value) if wording.known(value) and math.isfinite(value) else math.nan


def label(row: pd.Series) -> str:
    """Settings as in a call, without those of the dataset and those that are None, False or 0.

    >>> label(pd.Series({"scenario": {"num_workers": 2, "pin_memory": False, "prefetch_factor": None}}))
    'num_workers=2'
    """
    settings = row.get("scenario")
    if not isinstance(settings, dict):
        return "unnamed settings"
    shown = {key: value for key, value in settings.items() if key not in NOT_SETTINGS and _shown(key, value)}
    return ", ".join(f"{key}={value}" for key, value in shown.items()) or "defaults"


def _shown(key: str, value: Any) -> bool:
    return value is False if key == "in_order" else key == "num_workers" or value not in (None, False, 0, "")


def ranked_settings(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one dataset, fastest first, with `rank`: tied if their intervals overlap, NaN if not `ok`."""
    known = rows["rate"].gt(0) & rows["rate_low"].notna() & rows["rate_high"].notna()
    fair = rows[(rows["status"] == "ok") & known].sort_values("rate", ascending=False, kind="stable")
    ends = (1 / fair[name] for name in ("rate", "rate_high", "rate_low"))
    slowness = [Interval(*one) for one in zip(*ends, strict=True)]
    others = rows.loc[rows.index.difference(fair.index, sort=False)]
    return pd.concat([fair.assign(rank=list(map(float, ranks(slowness)))), others.assign(rank=math.nan)])
