"""DataLoader settings: which feed training fastest without changing its data, and what every term means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from reports import wording
from reports.asv_results import interval
from reports.figures import loading as figures
from reports.material import Material
from reports.pages.rows import first_line, rank_cell
from reports.ranking import ranked
from reports.view import Cell, Drawing, Page, Table, drawing

COLUMNS = (
    ("Settings", "arguments of DataLoader that differ from its defaults"),
    ("Rank", "overlapping intervals share a rank; wrong data has none"),
    ("Samples/s", "median over an epoch, with the wait at its start"),
    ("Interval", "of the median"),
    ("First batch", "from iter() to the first batch"),
    ("Wait p99", "99 of 100 batches came sooner"),
    ("Stall", "share of the time that a training step of the stated length waits"),
    ("CPU", "processor seconds per second"),
    ("Memory", "proportional set size of the process tree"),
    ("Data", "compared with num_workers=0"),
    ("Reason", "what went wrong, where something did, and what to do"),
)
NEEDED = (
    "dataset", "status", "reason", "advice", "first_batch_seconds", "batch_seconds", "stall_fraction", "cpu_cores",
    "pss_bytes", "verdict", "attribution", "step", "consumer", "value", "low", "high",
)  # fmt: skip
SAME = "bitwise same"
NOT_SETTINGS = ("dataset", "shuffle", "sampler", "batch_sampler", "collate_fn", "worker_init_fn")  # the workload's own


def pages(material: Material) -> list[Page]:
    rows = gathered(material)
    sections = [_section(str(name), one) for name, one in rows.groupby("dataset", sort=True)] if len(rows) else []
    raw = {"data/loading.csv": str(rows.to_csv(index=False))} if len(rows) else {}
    values = {"sections": sections, "raw": "data/loading.csv" if raw else None}
    return [Page("loading.html", "Which DataLoader settings should I use?", "loading.html", values, raw)]


def gathered(material: Material) -> pd.DataFrame:
    """Loading rows of the sweep and of `lossimpl loaders`: their own columns, and those that this page needs."""
    sources = [one for one in (material.newest_loading, material.loaders) if len(one)]
    if not sources:
        return pd.DataFrame()
    rows = pd.concat(sources, ignore_index=True)
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *NEEDED])))
    rows = rows[rows.get("kind", pd.Series("measurement", rows.index)).fillna("measurement") == "measurement"]
    rates = pd.DataFrame([_rate(row) for _, row in rows.iterrows()], index=rows.index, columns=["rate", "low", "high"])
    labels = [label(row) for _, row in rows.iterrows()]
    rows = rows.assign(rate=rates["rate"], rate_low=rates["low"], rate_high=rates["high"], label=labels)
    rows = rows.fillna({"status": "error", "dataset": "unnamed dataset"})
    return rows.drop_duplicates(["dataset", "label"], keep="last")


def _rate(row: pd.Series) -> list[float]:
    """Samples/s with its interval: over whole epochs where that was measured, else in the steady state, else asv's."""
    for names in (("epoch_rate", "epoch_rate_low", "epoch_rate_high"), ("rate", "rate_low", "rate_high")):
        if wording.known(row.get(names[0])):
            return [_float(row.get(name)) for name in names]
    values = row.get("samples_per_second")
    if isinstance(values, list) and values:
        return list(interval(values))
    return [_float(row[name]) for name in ("value", "low", "high")]


def _float(value: Any) -> float:
    return float(value) if wording.known(value) else math.nan


def label(row: pd.Series) -> str:
    """Settings as people write the call, without those that are the workload's own or left at None, False or 0.

    >>> label(pd.Series({"scenario": {"num_workers": 2, "pin_memory": False, "prefetch_factor": None}}))
    'num_workers=2'
    """
    settings = row.get("scenario") if isinstance(row.get("scenario"), dict) else row.get("settings")
    if isinstance(settings, dict):
        shown = {key: value for key, value in settings.items() if key not in NOT_SETTINGS and _said(key, value)}
        return ", ".join(f"{key}={value}" for key, value in shown.items()) or "defaults"
    return ", ".join(map(str, row["params"])) if isinstance(row.get("params"), tuple) else "unnamed settings"


def _said(key: str, value: Any) -> bool:
    return value is False if key == "in_order" else key == "num_workers" or value not in (None, False, 0, "")


def in_ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Fastest first: seconds per sample are ranked as calls are, and a row that is not `ok` never is."""
    return ranked(rows.assign(value=1 / rows["rate"], low=1 / rows["rate_high"], high=1 / rows["rate_low"]))


def _section(dataset: str, rows: pd.DataFrame) -> dict[str, Any]:
    ordered = in_ranks(rows)
    right = ordered[ordered["rank"].notna()]
    ties = ordered.groupby("rank")["rate"].transform("size") > 1
    cells = [_row(row, bool(tied)) for (_, row), tied in zip(ordered.iterrows(), ties, strict=True)]
    return {
        "dataset": dataset,
        "answer": answer(right),
        "figures": list(_figures(dataset, right)),
        "table": Table(f"Every configuration on {dataset}", COLUMNS, cells),
    }


def answer(right: pd.DataFrame) -> str:
    """The fastest setting whose data is that of `num_workers=0`, and what cannot be told from it."""
    same = right[right["verdict"].fillna(SAME) == SAME]
    if same.empty:
        return "No setting delivered the same data as num_workers=0 in a time that could be ranked."
    best = same.iloc[0]
    parts = [f"Use {best['label']}: {best['rate']:,.0f} samples/s", f"data {best['verdict'] or 'not compared'}"]
    if wording.known(best["stall_fraction"]):
        step = f" at a step of {wording.seconds(best['step'])}" if wording.known(best["step"]) else ""
        parts.append(f"stall {wording.percent(best['stall_fraction'])}{step}")
    parts += [wording.size(best["pss_bytes"])] if wording.known(best["pss_bytes"]) else []
    ties = int((same["rank"] == best["rank"]).sum()) - 1
    tied = f" {ties} other setting{'s' if ties != 1 else ''} cannot be told from it." if ties else ""
    faster = int((right["rank"] < best["rank"]).sum())
    other = f" {faster} faster setting{'s' if faster != 1 else ''} changed the data." if faster else ""
    return ", ".join(parts) + "." + tied + other


def _figures(dataset: str, right: pd.DataFrame) -> Iterator[Drawing]:
    if right.empty:
        return
    caption = "Throughput with its interval; blue settings cannot be told from the fastest."
    yield drawing(figures.throughput(right), caption, dataset, "throughput")
    if right["pss_bytes"].notna().sum() > 1:
        front = figures.front_words(right)
        caption = f"Speed against memory; the line joins what no other setting beats in both. {front}."
        yield drawing(figures.pareto(right), caption, dataset, "pareto")
    for _, row in right.iterrows():
        if stages := _stages(row["attribution"]):
            caption = f"Where the time of a batch goes, stage by stage, with {row['label']}."
            yield drawing(figures.waterfall(stages), caption, dataset, "waterfall")
            return


def _stages(attribution: Any) -> dict[str, float]:
    parts = attribution if isinstance(attribution, dict) else {}
    return {name: float(seconds) for name, seconds in parts.items() if wording.known(seconds)}


def _row(row: pd.Series, tied: bool) -> list[Cell]:
    known = wording.known(row["rate"])
    bounds = f"{row['rate_low']:,.0f} to {row['rate_high']:,.0f}" if wording.known(row["rate_low"]) else "no interval"
    waits = row["batch_seconds"] if isinstance(row["batch_seconds"], dict) else {}
    why = ". ".join(first_line(row[name], 160).rstrip(".") for name in ("reason", "advice") if first_line(row[name]))
    return [
        Cell(row["label"]),
        rank_cell(row, tied),
        Cell(f"{row['rate']:,.0f}" if known else wording.NOTHING, sort=row["rate"] if known else None),
        Cell(bounds if known else wording.NOTHING, sort=row["rate_low"] if known else None),
        _number(row["first_batch_seconds"], wording.seconds),
        _number(waits.get("p99"), wording.seconds),
        _number(row["stall_fraction"], wording.percent),
        Cell(f"{row['cpu_cores']:.1f}" if wording.known(row["cpu_cores"]) else wording.NOTHING),
        _number(row["pss_bytes"], wording.size),
        Cell(row["verdict"] if isinstance(row["verdict"], str) else wording.NOTHING),
        Cell(why, kind="long"),
    ]


def _number(value: Any, words: Any) -> Cell:
    return Cell(words(value), sort=float(value) if wording.known(value) else None)
