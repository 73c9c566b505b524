"""Every series over commits, with intervals, and the commits where a series changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.figures.history import history
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages.change_points import ChangePoints
from reports.site.pages.loss import file_name
from reports.site.view import Cell, Drawing, Page, Table, drawing
from reports.statistics.ranking import rankable

PANEL = ["machine", "shape", "dtype", "device", "mode"]  # what one figure holds of a loss; environments are its lines
SHOWN = 6  # figures per loss; more only for series with a change point
STEPS = (
    ("Loss", ""), ("Implementation", ""), ("Case", "shape, dtype, device and mode"), ("Ratio", "now over before"),
    ("Reading", "by the intervals of the two runs alone"), ("Before", "time per call"), ("Now", "time per call"),
    ("From", "commit before"), ("To", "newest commit"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    rows = material.history[rankable(material.history)]
    several = rows[rows.groupby([*PANEL, "loss", "implementation"])["commit"].transform("nunique") > 1]
    by_loss = {name: several[several["loss"] == name] for name in material.loss_names}
    points = ChangePoints(material.results.rows, material.results.nights)
    pairs = _pairs(several)
    values = {
        "conditions": conditions(material, several),
        "commits": int(rows["commit"].nunique()),
        "sections": [_section(name, one, points) for name, one in by_loss.items() if len(one)],
        "overall": _overall(pairs, material.loss_names),
        "steps": _steps(pairs),
        **points.tables(),
    }
    return [Page("history.html", "History", "history.html", values)]


def _section(name: str, rows: pd.DataFrame, points: ChangePoints) -> dict[str, Any]:
    cases = list(_cases(rows))
    marked = [(key, one, points.on(one)) for key, one in cases]
    shown = [case for place, case in enumerate(marked) if place < SHOWN or case[2]]
    return {
        "loss": name,
        "file": file_name(name),
        "names": in_order(set(rows["implementation"])),
        "figures": [_figure(name, *case) for case in shown],
        "more": len(cases) - len(shown),
    }


def _cases(rows: pd.DataFrame) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """The rows of each figure: the cases that people train with first, the largest first."""
    order = rows.assign(other=(rows["dtype"] != "float32") * 2 + (rows["mode"] != "step"), small=-rows["elements"])
    for (_, _, *key), one in order.groupby(["other", "small", *PANEL]):
        yield list(map(str, key)), one


def _figure(name: str, key: list[str], rows: pd.DataFrame, changes: list[str]) -> Drawing:
    machine, shape, dtype, device, mode = key
    caption = f"{wording.shape(shape)}, {dtype}, {mode}, {device.upper()}, {machine}; bands are 99 % intervals."
    return drawing(history(rows, changes), caption, name, *key)


def _pairs(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Of each series the row of its newest commit below that of the commit before it in the same environment."""
    series = ["machine", "env", "loss", "implementation", *PANEL[1:], "version"]
    return [one.iloc[-2:] for _, one in rows.sort_values("date").groupby(series, dropna=False) if len(one) > 1]


def _overall(pairs: list[pd.DataFrame], losses: list[str]) -> Table | None:
    """Geometric means of now over before: a loss a line, an implementation a column."""
    if not pairs:
        return None
    newest = pd.DataFrame([pair.iloc[1] for pair in pairs])
    steps = newest.assign(step=[math.log(_ratio(pair)) for pair in pairs]).groupby(["loss", "implementation"])["step"]
    names = in_order(set(newest["implementation"]))
    means = steps.agg(["mean", "size"]).to_dict("index")
    rows = [
        [Cell(loss, link=file_name(loss)), *(_mean(means.get((loss, name))) for name in names)]
        for loss in losses
        if loss in set(newest["loss"])
    ]
    columns = (("Loss", ""), *((name, "geometric mean of now over before, and over how many cases") for name in names))
    return Table("The newest commit over the one before it", columns, rows)


def _mean(step: dict[Any, Any] | None) -> Cell:
    return Cell(f"{math.exp(step['mean']):.2f}× ({step['size']})", sort=step["mean"]) if step else Cell(wording.NOTHING)


def _steps(pairs: list[pd.DataFrame]) -> Table | None:
    """The pairs whose intervals do not overlap, largest step first."""
    apart = sorted((one for one in pairs if _apart(one)), key=lambda one: -abs(math.log(_ratio(one))))
    caption = f"{len(apart)} of {len(pairs)} series whose intervals do not overlap"
    return Table(caption, STEPS, [_step(one) for one in apart]) if apart else None


def _ratio(pair: pd.DataFrame) -> float:
    return float(pair["value"].iloc[1] / pair["value"].iloc[0])


def _apart(pair: pd.DataFrame) -> bool:
    return bool(pair["low"].max() > pair["high"].min())


def _step(pair: pd.DataFrame) -> list[Cell]:
    before, now = pair.iloc[0], pair.iloc[1]
    ratio = _ratio(pair)
    reading = "longer" if ratio > 1 else "shorter"
    case = f"{wording.shape(now['shape'])} {now['dtype']} {str(now['device']).upper()} {now['mode']}"
    return [
        Cell(now["loss"], link=file_name(now["loss"])),
        Cell(now["implementation"], chip=now["implementation"]),
        Cell(case),
        Cell(f"{ratio:.2f}×", sort=ratio),
        Cell(reading, kind=f"reading-{reading}"),
        Cell(wording.seconds(before["value"]), sort=before["value"]),
        Cell(wording.seconds(now["value"]), sort=now["value"]),
        Cell(before["commit"]),
        Cell(now["commit"]),
    ]
