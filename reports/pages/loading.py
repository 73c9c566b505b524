"""DataLoader settings: which feed training fastest without changing its data, and what every term means."""

from __future__ import annotations

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
    ("Rank", "overlapping intervals share a rank; settings with wrong data have none"),
    ("Samples/s", "median over runs"),
    ("99 % interval", "of the median"),
    ("First batch", "from iter() to the first batch"),
    ("Stall", "share of an epoch in which the consumer waits"),
    ("Memory", "proportional set size of the process tree"),
    ("Data", "compared with num_workers=0"),
    ("Reason", "what went wrong, where something did"),
)
FIELDS = ("dataset", "status", "reason", "first_batch_seconds", "stall_fraction", "pss_bytes", "verdict", "digest")
RIGHT_DATA = ("ok", "same", "bitwise same", "same data", "")


def pages(material: Material) -> list[Page]:
    rows = gathered(material)
    sections = [_section(str(name), one) for name, one in rows.groupby("dataset", sort=True)] if len(rows) else []
    raw = {"data/loading.csv": str(rows.to_csv(index=False))} if len(rows) else {}
    values = {"sections": sections, "raw": "data/loading.csv" if raw else None}
    return [Page("loading.html", "Which DataLoader settings should I use?", "loading.html", values, raw)]


def gathered(material: Material) -> pd.DataFrame:
    """Loading rows of the sweep and of `lossimpl loaders`: their own columns, and those that this page needs."""
    sources = [one for one in (material.newest_loading, material.loaders) if len(one)]
    rows = pd.concat(sources) if sources else pd.DataFrame()
    if rows.empty:
        return rows
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *FIELDS]))).reset_index(drop=True)
    rates = [_rate(row) for _, row in rows.iterrows()]
    rows[["rate", "rate_low", "rate_high"]] = pd.DataFrame(rates, index=rows.index)
    rows["label"] = [label(row) for _, row in rows.iterrows()]
    rows["status"] = rows["status"].fillna("error")
    return rows.assign(dataset=rows["dataset"].fillna("unnamed dataset"))


def _rate(row: pd.Series) -> tuple[float, float, float]:
    values = row.get("samples_per_second")
    if isinstance(values, list) and values:
        return interval(values)
    one = values if wording.known(values) else row.get("value")
    return float(one or "nan"), float(row.get("low") or "nan"), float(row.get("high") or "nan")


def label(row: pd.Series) -> str:
    """Settings as people write the call, without those left at None or False."""
    settings = row.get("scenario") if isinstance(row.get("scenario"), dict) else row.get("settings")
    if isinstance(settings, dict):
        shown = {key: value for key, value in settings.items() if value not in (None, False, "") and key != "dataset"}
        return ", ".join(f"{key}={value}" for key, value in shown.items()) or "defaults"
    return ", ".join(map(str, row["params"])) if isinstance(row.get("params"), tuple) else "unnamed settings"


def in_ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Fastest first: seconds per sample are ranked as calls are, and wrong data never is."""
    right = (rows["status"] == "ok") & rows["verdict"].fillna("").isin(RIGHT_DATA)
    times = rows.assign(
        status=rows["status"].where(right | (rows["status"] != "ok"), "wrong-data"),
        value=1 / rows["rate"], low=1 / rows["rate_high"], high=1 / rows["rate_low"],
    )  # fmt: skip
    return ranked(times)


def _section(dataset: str, rows: pd.DataFrame) -> dict[str, Any]:
    ordered = in_ranks(rows)
    right = ordered[ordered["rank"].notna()]
    ties = ordered.groupby("rank")["rate"].transform("size") > 1
    cells = [_row(row, bool(tied)) for (_, row), tied in zip(ordered.iterrows(), ties, strict=True)]
    return {
        "dataset": dataset,
        "answer": answer(right),
        "figures": list(_figures(dataset, right, ordered)),
        "table": Table(f"Every configuration on {dataset}", COLUMNS, cells),
    }


def answer(right: pd.DataFrame) -> str:
    """What to use, and what cannot be told from it."""
    if right.empty:
        return "No configuration delivered the right data in a time that could be ranked."
    best = right.iloc[0]
    parts = [f"Use {best['label']}: {best['rate']:,.0f} samples/s"]
    parts += [f"stall {wording.percent(best['stall_fraction'])}"] if wording.known(best["stall_fraction"]) else []
    parts += [wording.size(best["pss_bytes"])] if wording.known(best["pss_bytes"]) else []
    ties = int((right["rank"] == 1).sum()) - 1
    tied = f" {ties} other setting{'s' if ties != 1 else ''} cannot be told from it." if ties else ""
    return ", ".join(parts) + "." + tied


def _figures(dataset: str, right: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Drawing]:
    if len(right):
        caption = "Throughput with 99 % intervals; blue settings cannot be told from the fastest."
        yield drawing(figures.throughput(right), caption, dataset, "throughput")
    if len(right) and right["pss_bytes"].notna().sum() > 1:
        caption = (
            f"Speed against memory; the line joins what no other setting beats in both. {figures.front_words(right)}."
        )
        yield drawing(figures.pareto(right), caption, dataset, "pareto")
    phases = next((one for one in rows.get("phases", pd.Series(dtype=object)) if isinstance(one, dict)), None)
    if phases:
        yield drawing(figures.waterfall(phases), "Where the time of a batch goes.", dataset, "waterfall")


def _row(row: pd.Series, tied: bool) -> list[Cell]:
    bounds = f"{row['rate_low']:,.0f} to {row['rate_high']:,.0f}" if wording.known(row["rate_low"]) else "no interval"
    rate = f"{row['rate']:,.0f}" if wording.known(row["rate"]) else wording.NOTHING
    return [
        Cell(row["label"]),
        rank_cell(row, tied),
        Cell(rate, sort=row["rate"]),
        Cell(bounds if wording.known(row["rate"]) else wording.NOTHING, sort=row["rate_low"]),
        Cell(wording.seconds(row["first_batch_seconds"]), sort=row["first_batch_seconds"]),
        Cell(wording.percent(row["stall_fraction"]), sort=row["stall_fraction"]),
        Cell(wording.size(row["pss_bytes"]), sort=row["pss_bytes"]),
        Cell(str(row["verdict"]) if isinstance(row["verdict"], str) else wording.NOTHING),
        Cell(first_line(row["reason"], 160)),
    ]
