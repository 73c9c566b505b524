"""The first page: which implementation to run, loss by loss."""

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
from reports.site.view import Cell, Drawing, Page, Table, drawing, number
from reports.statistics.answers import Answer, against, answer, answers, shares, worst_error
from reports.statistics.ranking import smallest

SMALL = (
    ("Loss", ""),
    ("Case", "shape of the input, dtype and mode"),
    ("Fastest", "several if statistically tied"),
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
    shown = {tuple(one.case) for one in found}
    small = [answer(case, rows) for _, case in smallest(rows).iterrows() if tuple(case) not in shown]
    device = str(rows["device"].iloc[0])
    cells = [_small_row(one) for one in _in_order(small, material)]
    return {
        "conditions": conditions(material, rows),
        "device": device.upper(),
        "verdict": verdict(found),
        "busy": sum(isinstance(one, str) and bool(one) for one in rows["busy"]),
        "rows": len(rows),
        "cards": [_card(one) for one in found],
        "figure": _overview(found, device, *setup),
        "names": in_order({name for one in found for name in shares(one)["implementation"]}),
        "small": Table("Small inputs, where overhead dominates", SMALL, cells) if cells else None,
    }


def _in_order(found: list[Answer], material: Material) -> list[Answer]:
    return sorted(found, key=lambda one: material.loss_names.index(one.case["loss"]))


def verdict(found: list[Answer]) -> str:
    """How often each implementation is fastest, and how many losses are tied or have no result, in one sentence."""
    decided = [one for one in found if one.fastest]
    alone = Counter(one.fastest[0] for one in decided if len(one.fastest) == 1)
    if len(found) > 1 and len(alone) == 1 and alone.total() == len(found):
        return f"{decided[0].fastest[0]} is fastest in all {len(found)} losses measured here."
    ties, undecided = len(decided) - alone.total(), len(found) - len(decided)
    parts = [f"{name} is fastest in {count}" for name, count in alone.most_common()]
    parts += [f"{ties} {'has' if ties == 1 else 'have'} a statistical tie"] if ties else []
    parts += [f"{undecided} {'has' if undecided == 1 else 'have'} no correct result"] if undecided else []
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
        return {**card, "reason": "No implementation gave a correct result that could be ranked."}
    return card | {
        "against": against(one),
        "time": wording.seconds(best["value"]),
        "interval": wording.interval(best["value"], best["low"], best["high"]),
        "share": best["share"] if wording.known(best["share"]) else None,
        "ceiling": f"{wording.percent(best['share'])} of the {best['ceiling_name']} ceiling",
        "error": f"{wording.error(worst_error(best))} relative" if wording.known(best["value_max_rel"]) else "–",
    }


def _excluded(row: pd.Series) -> bool:
    return row["status"] in ("wrong", "impossible", "error")


def _overview(found: list[Answer], *name: str) -> Drawing | None:
    correct = [shares(one) for one in found]
    if not any(map(len, correct)):
        return None
    caption = (
        "The share of this machine's memory bandwidth that each implementation reaches, in the case named on its card. "
        "The limit is measured too: a few percent above 100 are noise."
    )
    return drawing(overview(pd.concat(correct)), caption, "overview", *name)


def _small_row(one: Answer) -> list[Cell]:
    best = one.best
    case = f"{wording.shape(one.case['shape'])} {one.case['dtype']} {one.case['mode']}"
    cells = [Cell(one.case["loss"], link=file_name(one.case["loss"])), Cell(case, sort=one.rows["elements"].max())]
    if best is None:
        return [*cells, Cell("none ranked"), Cell(wording.NOTHING), Cell("")]
    alone = one.fastest[0] if len(one.fastest) == 1 else None
    return [
        *cells,
        Cell(wording.names(one.fastest), chip=alone),
        number(best["value"], wording.seconds),
        Cell(against(one), sort=one.speedup.value if one.speedup else None),
    ]
