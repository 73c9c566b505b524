"""DataLoader settings: which feed training fastest without changing its data, and a glossary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from lossimpl.loading.row import Row
from lossimpl.loading.search.summary import paste
from reports.site.conditions import of_source
from reports.site.figures import loading as figures
from reports.site.material import Material
from reports.site.pages import loading_selftest, loading_tables
from reports.site.view import Drawing, Page, drawing, slug
from reports.statistics.loading import SEARCH, ranked_settings

SAME = "bitwise same"
STALL_BOUND = 0.05  # of the time: what a search accepts by default


def pages(material: Material) -> list[Page]:
    rows = material.loading
    raw = {"data/loading.csv": str(rows.to_csv(index=False))} if len(rows) else {}
    values = {
        "sections": [_section(title, one, material) for title, one in titled(material)],
        "failures": loading_tables.failures(),
        "tests": loading_selftest.sections(material),
        "raw": "data/loading.csv" if raw else None,
    }
    return [Page("loading.html", "Which DataLoader settings should I use?", "loading.html", values, raw)]


def datasets(material: Material) -> list[pd.DataFrame]:
    """The settings of each dataset on each machine, ranked."""
    rows = material.loading
    keys = ["dataset", "machine", "env"]
    return [ranked_settings(one) for _, one in rows.groupby(keys)] if len(rows) else []


def titled(material: Material) -> list[tuple[str, pd.DataFrame]]:
    """The settings of each dataset, and of its machine where there are several."""
    found = datasets(material)
    several = len({one["machine"].iloc[0] for one in found}) > 1
    firsts = [one.iloc[0] for one in found]
    titles = [f"{one['dataset']} on {one['machine']}" if several else str(one["dataset"]) for one in firsts]
    return list(zip(titles, found, strict=True))


def answers(material: Material) -> list[tuple[str, str]]:
    """Each of them with the sentence that says what to use."""
    return [
        (title, (of_search(material.loaders, one.iloc[0]) or of_rows(_correct(one)))["answer"])
        for title, one in titled(material)
    ]


def of_search(loaders: pd.DataFrame, first: pd.Series) -> dict[str, Any] | None:
    """What the newest search on the dataset of a row says: its answer, the call to paste, and remarks; None without."""
    if first["session"] != SEARCH or "call" not in loaders:
        return None
    same = (loaders[loading_tables.SOURCE] == first[loading_tables.SOURCE]).all(axis=1)
    found = loaders[same & (loaders["kind"] == "summary")]
    if found.empty:
        return None
    last = found.iloc[-1]
    best = isinstance(last["call"], str)
    return {
        "answer": f"Use {last['sentence']}." if best else f"No answer: {last['sentence']}.",
        "call": last["call"] if best else None,
        "remarks": last["lines"] if isinstance(last["lines"], list) else [],
    }


def of_rows(correct: pd.DataFrame) -> dict[str, Any]:
    """The same from the settings of a sweep."""
    same = _same_data(correct)
    if same.empty:
        return {"answer": answer(correct), "call": None, "remarks": []}
    best = same.iloc[0]
    waits = wording.known(best["stall_fraction"]) and best["stall_fraction"] > STALL_BOUND
    share = wording.percent(best["stall_fraction"])
    return {
        "answer": answer(correct),
        "call": paste(Row(str(best["dataset"]), best["scenario"])),
        "remarks": [f"Still data-bound: training would wait for data {share} of the time"] if waits else [],
    }


def _same_data(correct: pd.DataFrame) -> pd.DataFrame:
    return correct[correct["verdict"].isna() | (correct["verdict"] == SAME)]


def _correct(ordered: pd.DataFrame) -> pd.DataFrame:
    return ordered[ordered["rank"].notna()]


def _section(title: str, ordered: pd.DataFrame, material: Material) -> dict[str, Any]:
    correct, first = _correct(ordered), ordered.iloc[0]
    dataset, machine = str(first["dataset"]), str(first["machine"])
    return {
        "title": title,
        **(of_search(material.loaders, first) or of_rows(correct)),
        "conditions": [of_source(material, first)],
        "figures": list(_figures(slug(dataset, machine, first["env"]), correct)),
        "table": loading_tables.configurations(dataset, ordered),
        "arguments": loading_tables.arguments(material.loaders, first),
    }


def answer(correct: pd.DataFrame) -> str:
    """The fastest settings that deliver the data of `num_workers=0`, and how many are statistically tied with them."""
    same = _same_data(correct)
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


def _figures(prefix: str, correct: pd.DataFrame) -> Iterator[Drawing]:
    if correct.empty:
        return
    caption = f"Throughput with its {wording.INTERVAL}; blue settings are statistically tied with the fastest."
    yield drawing(caption, (prefix, "throughput"), figures.throughput, correct)
    if correct["pss_bytes"].notna().sum() > 1:
        front = figures.front_words(correct)
        caption = f"Speed against memory; the line joins settings that no other beats in both. {front}."
        yield drawing(caption, (prefix, "pareto"), figures.pareto, correct)
    for _, row in correct.iterrows():
        if stages := _stages(row["attribution"]):
            caption = f"The time of a batch by stage, with {row['label']}."
            yield drawing(caption, (prefix, "waterfall"), figures.waterfall, stages)
            return


def _stages(attribution: Any) -> dict[str, float]:
    parts = attribution if isinstance(attribution, dict) else {}
    return {name: float(seconds) for name, seconds in parts.items() if wording.known(seconds)}
