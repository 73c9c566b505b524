"""The first page: which implementation to run, loss by loss, before anything else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.figures.overview import overview
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages import conformance, loading
from reports.site.pages.loss import file_name
from reports.site.view import Cell, Drawing, Page, Table, drawing
from reports.statistics.answers import Answer, against, answer, answers, worst_error
from reports.statistics.ranking import smallest

SMALL = (
    ("Loss", ""),
    ("Case", "shape of the input, dtype and mode"),
    ("Fastest", "several where their intervals overlap"),
    ("Median", "time per call"),
    ("Against", "how many times as fast as torch, or as compiled tensor code where torch has none"),
)


def pages(material: Material) -> list[Page]:
    measured = [(setup, rows) for setup in material.setups for rows in _by_device(material.of_setup(setup))]
    values = {
        "sections": [_section(material, setup, rows) for setup, rows in measured],
        "counts": Counter(material.rows["status"]),
        "loss_files": [(name, file_name(name)) for name in material.loss_names],
        "loading": loading.answers(material),
        "conformance": conformance.totals(material),
        "problems": material.results.problems,
    }
    return [Page("index.html", "Which loss implementation should I run here?", "index.html", values)]


def _by_device(rows: pd.DataFrame) -> list[pd.DataFrame]:
    return [one for _, one in rows.groupby("device", sort=True)]


def _section(material: Material, setup: tuple[str, str], rows: pd.DataFrame) -> dict[str, Any]:
    found = _in_order(answers(rows), material)
    said = {tuple(one.case) for one in found}
    small = _in_order(
        [answer(case, rows) for _, case in smallest(rows).iterrows() if tuple(case) not in said], material
    )
    device = str(rows["device"].iloc[0])
    cells = [_small_row(one) for one in small]
    return {
        "conditions": conditions(material, rows),
        "device": device.upper(),
        "verdict": verdict(found),
        "busy": sum(isinstance(one, str) and bool(one) for one in rows["busy"]),
        "rows": len(rows),
        "cards": [_card(one) for one in found],
        "figure": _overview(found, device, *setup),
        "names": in_order({name for one in found for name in _right(one)["implementation"]}),
        "small": Table("Small inputs, where overhead rules", SMALL, cells) if cells else None,
    }


def _in_order(found: list[Answer], material: Material) -> list[Answer]:
    return sorted(found, key=lambda one: material.loss_names.index(one.case["loss"]))


def verdict(found: list[Answer]) -> str:
    """One sentence over all losses: who is fastest how often, ties said as ties."""
    decided = [one for one in found if one.fastest]
    alone = Counter(one.fastest[0] for one in decided if len(one.fastest) == 1)
    ties = sum(len(one.fastest) > 1 for one in decided)
    if len(found) > 1 and len(alone) == 1 and alone.total() == len(found):
        return f"{decided[0].fastest[0]} is fastest in all {len(found)} losses measured here."
    parts = [f"{name} is fastest in {count}" for name, count in alone.most_common()]
    if ties:
        parts.append(f"{ties} {'is a tie' if ties == 1 else 'are ties'}")
    undecided = len(found) - len(decided)
    if undecided:
        parts.append(f"{undecided} {'has' if undecided == 1 else 'have'} no right result")
    losses = f"{len(found)} loss{'es' if len(found) != 1 else ''}"
    return f"Of {losses} measured here, " + wording.names(parts) + "." if parts else ""


def _card(one: Answer) -> dict[str, Any]:
    best = one.best
    card: dict[str, Any] = {
        "loss": one.case["loss"],
        "file": file_name(one.case["loss"]),
        "case": f"{wording.shape(one.case['shape'])} · {one.case['dtype']} · {one.case['mode']}",
        "fastest": one.fastest,
        "excluded": [f"{row['implementation']} {row['status']}" for _, row in one.rows.iterrows() if _excluded(row)],
    }
    if best is None:
        return {**card, "reason": "No implementation gave a right result that could be ranked."}
    return card | {
        "against": against(one),
        "time": wording.seconds(best["value"]),
        "interval": wording.interval(best["value"], best["low"], best["high"]),
        "share": best["share"] if wording.known(best["share"]) else None,
        "ceiling": f"{wording.percent(best['share'])} of the {best['ceiling_name']} ceiling",
        "error": f"{worst_error(best):.1e} relative" if wording.known(best["value_max_rel"]) else wording.NOTHING,
    }


def _excluded(row: pd.Series) -> bool:
    return row["status"] in ("wrong", "impossible", "error")


def _overview(found: list[Answer], *name: str) -> Drawing | None:
    right = [_right(one) for one in found]
    rows = pd.concat(right) if right else pd.DataFrame()
    if rows.empty:
        return None
    caption = (
        "How near each implementation comes to what this machine's memory allows, in the case named on each card. "
        "The limit is measured too: a few percent above 100 are its noise."
    )
    return drawing(overview(rows), caption, "overview", *name)


def _right(one: Answer) -> pd.DataFrame:
    """The rows that the figure shows."""
    return one.rows[(one.rows["status"] == "ok") & one.rows["share"].notna()]


def _small_row(one: Answer) -> list[Cell]:
    best = one.best
    case = f"{wording.shape(one.case['shape'])} {one.case['dtype']} {one.case['mode']}"
    cells = [Cell(one.case["loss"], link=file_name(one.case["loss"])), Cell(case, sort=one.rows["elements"].max())]
    if best is None:
        return [*cells, Cell("none ranked"), Cell(wording.NOTHING), Cell("")]
    alone = one.fastest[0] if len(one.fastest) == 1 else None
    return [
        *cells,
        Cell(wording.names(list(one.fastest)), chip=alone),
        Cell(wording.seconds(best["value"]), sort=best["value"]),
        Cell(against(one), sort=one.speedup if wording.known(one.speedup) else None),
    ]
