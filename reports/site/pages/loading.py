"""DataLoader settings: which feed training fastest without changing its data, and what every term means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.figures import loading as figures
from reports.site.material import Material
from reports.site.pages import loading_selftest, loading_tables
from reports.site.view import Drawing, Page, drawing
from reports.statistics.loading import in_ranks, measurements

SAME = "bitwise same"


def pages(material: Material) -> list[Page]:
    rows = measurements(material.newest_loading, material.loaders)
    datasets: list[tuple[Any, pd.DataFrame]] = list(rows.groupby("dataset")) if len(rows) else []
    raw = {"data/loading.csv": str(rows.to_csv(index=False))} if len(rows) else {}
    values = {
        "sections": [_section(str(name), one, material) for name, one in datasets],
        "failures": loading_tables.failures(),
        "tests": loading_selftest.sections(material),
        "raw": "data/loading.csv" if raw else None,
    }
    return [Page("loading.html", "Which DataLoader settings should I use?", "loading.html", values, raw)]


def answers(material: Material) -> list[tuple[str, str]]:
    """Each dataset with the sentence that says what to use."""
    rows = measurements(material.newest_loading, material.loaders)
    datasets: list[tuple[Any, pd.DataFrame]] = list(rows.groupby("dataset")) if len(rows) else []
    ranks = [(str(name), in_ranks(one)) for name, one in datasets]
    return [(name, answer(one[one["rank"].notna()])) for name, one in ranks]


def _section(dataset: str, rows: pd.DataFrame, material: Material) -> dict[str, Any]:
    ordered = in_ranks(rows)
    right = ordered[ordered["rank"].notna()]
    return {
        "dataset": dataset,
        "answer": answer(right),
        "conditions": conditions(material, rows),
        "figures": list(_figures(dataset, right)),
        "table": loading_tables.configurations(dataset, ordered),
        "arguments": loading_tables.arguments(material.loaders, dataset),
    }


def answer(right: pd.DataFrame) -> str:
    """The fastest setting whose data is that of `num_workers=0`, and what cannot be told from it."""
    same = right[right["verdict"].fillna(SAME) == SAME]
    if same.empty:
        return "No setting delivered the same data as num_workers=0 in a time that could be ranked."
    best = same.iloc[0]
    data = f"data {best['verdict']}" if isinstance(best["verdict"], str) else "data not compared"
    parts = [f"Use {best['label']}: {best['rate']:,.0f} samples/s", data, *_costs(best)]
    ties = int((same["rank"] == best["rank"]).sum()) - 1
    faster = int((right["rank"] < best["rank"]).sum())
    said = [", ".join(parts)]
    said += [f"{ties} other setting{'s' if ties != 1 else ''} cannot be told from it"] if ties else []
    said += [f"{faster} faster setting{'s' if faster != 1 else ''} changed order or augmentation"] if faster else []
    return ". ".join(said) + "."


def _costs(best: pd.Series) -> Iterator[str]:
    if wording.known(best["stall_fraction"]):
        step = f" at a step of {wording.seconds(best['step'])}" if wording.known(best["step"]) else ""
        yield f"stall {wording.percent(best['stall_fraction'])}{step}"
    if wording.known(best["pss_bytes"]):
        yield wording.size(best["pss_bytes"])


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
