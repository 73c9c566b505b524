"""Series over commits with their intervals, and the commits where a series changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from lossimpl.ranking import tied
from reports.site.conditions import conditions
from reports.site.figures.history import history
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages.change_points import ChangePoints
from reports.site.pages.loss import file_name
from reports.site.view import Cell, Drawing, Page, Table, drawing, number
from reports.statistics.ranking import interval_of, rankable

PANEL = ["machine", "shape", "dtype", "device", "mode"]  # one figure per loss; environments are separate lines
SHOWN = 6  # figures per loss, and every series with a change point
STEPS = (
    ("Loss", ""), ("Implementation", ""), ("Case", "shape, dtype, device and mode"), ("Ratio", "now over before"),
    ("Reading", "by the intervals of both runs alone"), ("Before", "time per call"), ("Now", "time per call"),
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
    """The rows of each figure: training steps in float32 first, then the largest cases."""
    order = rows.assign(other=(rows["dtype"] != "float32") * 2 + (rows["mode"] != "step"), small=-rows["elements"])
    for (_, _, *key), one in order.groupby(["other", "small", *PANEL]):
        yield list(map(str, key)), one


def _figure(name: str, key: list[str], rows: pd.DataFrame, changes: list[str]) -> Drawing:
    machine, shape, dtype, device, mode = key
    caption = f"{wording.shape(shape)}, {dtype}, {mode}, {device.upper()}, {machine}; bands are {wording.INTERVAL}s."
    return drawing(history(rows, changes), caption, name, *key)


def _pairs(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The last two commits of each series in one environment, as frames of two rows."""
    series = ["machine", "env", "loss", "implementation", *PANEL[1:], "version"]
    return [one.iloc[-2:] for _, one in rows.sort_values("date").groupby(series, dropna=False) if len(one) > 1]


def _overall(pairs: list[pd.DataFrame], losses: list[str]) -> Table | None:
    """Geometric means of now over before: one line per loss, one column per implementation."""
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
    if not step:
        return Cell(wording.NOTHING)
    return Cell(f"{wording.times(math.exp(step['mean']))} ({step['size']})", sort=step["mean"])


def _steps(pairs: list[pd.DataFrame]) -> Table | None:
    """The pairs whose intervals do not overlap, largest step first."""
    apart = [one for one in pairs if not tied(*(interval_of(row) for _, row in one.iterrows()))]
    apart.sort(key=lambda one: -abs(math.log(_ratio(one))))
    caption = f"{len(apart)} of {len(pairs)} series whose intervals do not overlap"
    return Table(caption, STEPS, [_step(one) for one in apart]) if apart else None


def _ratio(pair: pd.DataFrame) -> float:
    return float(pair["value"].iloc[1] / pair["value"].iloc[0])


def _step(pair: pd.DataFrame) -> list[Cell]:
    before, now = pair.iloc[0], pair.iloc[1]
    ratio = _ratio(pair)
    reading = "longer" if ratio > 1 else "shorter"
    case = f"{wording.shape(now['shape'])} {now['dtype']} {str(now['device']).upper()} {now['mode']}"
    return [
        Cell(now["loss"], link=file_name(now["loss"])),
        Cell(now["implementation"], chip=now["implementation"]),
        Cell(case),
        number(ratio, wording.times),
        Cell(reading, kind=f"reading-{reading}"),
        number(before["value"], wording.seconds),
        number(now["value"], wording.seconds),
        Cell(before["commit"]),
        Cell(now["commit"]),
    ]
