"""Loader rows of the sweep and of `lossimpl loaders` in one frame, each with a rate, a label and a rank."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.record.reader import interval
from reports.statistics.ranking import ranked

NEEDED = (
    "dataset", "status", "reason", "advice", "first_batch_seconds", "batch_seconds", "stall_fraction", "cpu_cores",
    "pss_bytes", "verdict", "attribution", "step", "consumer", "value", "low", "high", "kind", "budget",
)  # fmt: skip
NOT_SETTINGS = ("dataset", "sampler", "batch_sampler", "collate_fn", "worker_init_fn")  # they belong to the dataset


def measurements(*sources: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and settings with `rate`, `rate_low`, `rate_high` (samples/s) and `label`."""
    measured = [one for one in sources if len(one)]
    if not measured:
        return pd.DataFrame()
    rows = pd.concat(measured, ignore_index=True)
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *NEEDED])))
    rows = rows[rows["kind"].isna() | (rows["kind"] == "measurement")]
    rates = pd.DataFrame([_rate(row) for _, row in rows.iterrows()], index=rows.index, columns=["rate", "low", "high"])
    labels = [label(row) for _, row in rows.iterrows()]
    rows = rows.assign(rate=rates["rate"], rate_low=rates["low"], rate_high=rates["high"], label=labels)
    rows = rows.fillna({"status": "error", "dataset": "unnamed dataset"})
    return _best_known(rows)


def _best_known(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per settings: with a verdict on the data before without, then the longest budget, then the newest."""
    order = rows.assign(judged=rows["verdict"].notna(), budget=pd.to_numeric(rows["budget"], errors="coerce").fillna(0))
    newest = order.sort_values(["judged", "budget"], kind="stable").drop_duplicates(["dataset", "label"], keep="last")
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
    """The rows ranked by seconds per sample, as calls are; only those that are `ok` have a rank."""
    return ranked(rows.assign(value=1 / rows["rate"], low=1 / rows["rate_high"], high=1 / rows["rate_low"]))
