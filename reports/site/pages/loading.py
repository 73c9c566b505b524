"""DataLoader settings: which feed training fastest without changing its data, and a glossary."""

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
from reports.statistics.loading import ranked_settings

SAME = "bitwise same"


def pages(material: Material) -> list[Page]:
    rows = material.loading
    raw = {"data/loading.csv": str(rows.to_csv(index=False))} if len(rows) else {}
    values = {
        "sections": [_section(name, one, material) for name, one in datasets(material)],
        "failures": loading_tables.failures(),
        "tests": loading_selftest.sections(material),
        "raw": "data/loading.csv" if raw else None,
    }
    return [Page("loading.html", "Which DataLoader settings should I use?", "loading.html", values, raw)]


def datasets(material: Material) -> list[tuple[str, pd.DataFrame]]:
    """The name of each dataset with its settings, ranked."""
    rows = material.loading
    return [(str(name), ranked_settings(one)) for name, one in rows.groupby("dataset")] if len(rows) else []


def answers(material: Material) -> list[tuple[str, str]]:
    """Each dataset with the sentence that says what to use."""
    return [(name, answer(_correct(ordered))) for name, ordered in datasets(material)]


def _correct(ordered: pd.DataFrame) -> pd.DataFrame:
    return ordered[ordered["rank"].notna()]


def _section(dataset: str, ordered: pd.DataFrame, material: Material) -> dict[str, Any]:
    correct = _correct(ordered)
    return {
        "dataset": dataset,
        "answer": answer(correct),
        "conditions": conditions(material, ordered),
        "figures": list(_figures(dataset, correct)),
        "table": loading_tables.configurations(dataset, ordered),
        "arguments": loading_tables.arguments(material.loaders, dataset),
    }


def answer(correct: pd.DataFrame) -> str:
    """The fastest settings that deliver the data of `num_workers=0`, and how many are statistically tied with them."""
    same = correct[correct["verdict"].fillna(SAME) == SAME]
    if same.empty:
        return "No settings deliver the same data as num_workers=0 in a time that can be ranked."
    best = same.iloc[0]
    data = f"data {best['verdict']}" if isinstance(best["verdict"], str) else "data not compared"
    parts = [f"Use {best['label']}: {wording.count(best['rate'])} samples/s", data, *_costs(best)]
    ties = int((same["rank"] == best["rank"]).sum()) - 1
    faster = int((correct["rank"] < best["rank"]).sum())
    sentences = [", ".join(parts)]
    sentences += [f"{ties} other setting{'s are' if ties != 1 else ' is'} statistically tied with it"] if ties else []
    sentences += [f"{faster} faster setting{'s' * (faster != 1)} changed order or augmentation"] if faster else []
    return ". ".join(sentences) + "."


def _costs(best: pd.Series) -> Iterator[str]:
    if wording.known(best["stall_fraction"]):
        step = f" at a step of {wording.seconds(best['step'])}" if wording.known(best["step"]) else ""
        yield f"stall {wording.percent(best['stall_fraction'])}{step}"
    if wording.known(best["pss_bytes"]):
        yield wording.size(best["pss_bytes"])


def _figures(dataset: str, correct: pd.DataFrame) -> Iterator[Drawing]:
    if correct.empty:
        return
    caption = f"Throughput with its {wording.INTERVAL}; blue settings are statistically tied with the fastest."
    yield drawing(figures.throughput(correct), caption, dataset, "throughput")
    if correct["pss_bytes"].notna().sum() > 1:
        front = figures.front_words(correct)
        caption = f"Speed against memory; the line joins settings that no other beats in both. {front}."
        yield drawing(figures.pareto(correct), caption, dataset, "pareto")
    for _, row in correct.iterrows():
        if stages := _stages(row["attribution"]):
            caption = f"The time of a batch by stage, with {row['label']}."
            yield drawing(figures.waterfall(stages), caption, dataset, "waterfall")
            return


def _stages(attribution: Any) -> dict[str, float]:
    parts = attribution if isinstance(attribution, dict) else {}
    return {name: float(seconds) for name, seconds in parts.items() if wording.known(seconds)}
