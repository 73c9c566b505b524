"""Series over commits with their intervals, and the commits where a series changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from lossimpl.ranking import Interval, tied
from reports.site.conditions import described
from reports.site.figures.history import history
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages.change_points import ChangePoints
from reports.site.pages.loss import file_name
from reports.site.view import Cell, Drawing, Page, Table, drawing, number
from reports.statistics.ranking import Row
from reports.statistics.sessions import points, rankable, timed

PANEL = ["machine", "shape", "dtype", "device", "mode"]  # one figure per loss; environments are separate lines
SHOWN = 1  # figure per loss, and every series with a change point
STEPS = (
    ("Loss", ""), ("Implementation", ""), ("Case", "shape, dtype, device and mode"), ("Ratio", "now over before"),
    ("Reading", "by the intervals of both sessions"), ("Before", "time per call"), ("Now", "time per call"),
    ("From", "commit before"), ("To", "newest commit"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    rows = points(material.rows[timed(material.rows)])
    several = rows[rows.groupby([*PANEL, "loss", "implementation"])["commit"].transform("nunique") > 1]
    by_loss = {name: several[several["loss"] == name] for name in material.loss_names}
    changes = ChangePoints(material.results.rows, material.results.nights)
    pairs = _pairs(several)
    values = {
        "where": _where(material, several),
        "commits": int(rows["commit"].nunique()),
        "sections": [_section(name, one, changes) for name, one in by_loss.items() if len(one)],
        "overall": [_overall(one, material.loss_names) for one in _by_setup(pairs)],
        **_steps(pairs),
        **changes.tables(),
    }
    return [Page("history.html", "History", "history.html", values)]


def _where(material: Material, rows: pd.DataFrame) -> list[str]:
    """A line per machine and environment: how many commits, and when the newest was measured."""
    found = rows.sort_values("date").groupby(["machine", "env"])
    return [
        f"{described(material, str(machine))} · {env} · {one['commit'].nunique()} commits, the newest "
        f"{one['commit'].iloc[-1]} measured {one['started_at'].max():%Y-%m-%d}"
        for (machine, env), one in found
    ]


def _section(name: str, rows: pd.DataFrame, changes: ChangePoints) -> dict[str, Any]:
    cases = list(_cases(rows))
    marked = [(key, one, changes.on(one)) for key, one in cases]
    shown = [case for place, case in enumerate(marked) if place < SHOWN or case[2]]
    return {
        "loss": name,
        "file": file_name(name),
        "names": in_order(set(rows["implementation"])),
        "figures": [_figure(name, *case) for case in shown],
        "more": len(cases) - len(shown),
    }


def _cases(rows: pd.DataFrame) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """The rows of each figure: training steps in float32 first, then the newest machine, then the largest cases."""
    newest = rows.groupby("machine")["started_at"].transform("max")
    order = rows.assign(
        other=(rows["dtype"] != "float32") * 2 + (rows["mode"] != "step"),
        age=newest.rank(method="dense", ascending=False),
        small=-rows["elements"],
    )
    for (_, _, _, *key), one in order.groupby(["other", "age", "small", *PANEL]):
        yield list(map(str, key)), one


def _figure(name: str, key: list[str], rows: pd.DataFrame, changes: list[str]) -> Drawing:
    machine, shape, dtype, device, mode = key
    bands = f"bands are {wording.INTERVAL}s" if rows["low"].notna().any() else "one process per point, so no interval"
    caption = f"{wording.shape(shape)}, {dtype}, {mode}, {device.upper()}, {machine}; {bands}."
    return drawing(history(rows, changes), caption, name, *key)


Pair = tuple[Row, Row]


def _pairs(rows: pd.DataFrame) -> list[Pair]:
    """The last two commits of each series whose rows have intervals between runs."""
    keys = ["machine", "env", "loss", "implementation", *PANEL[1:], "version"]
    series: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows[rankable(rows)].sort_values("date").to_dict("records"):
        series.setdefault(tuple(str(row[name]) for name in keys), []).append({str(key): row[key] for key in row})
    return [(one[-2], one[-1]) for one in series.values() if len(one) > 1]


def _by_setup(pairs: list[Pair]) -> list[list[Pair]]:
    """The pairs of each machine and environment."""
    found: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        found.setdefault((pair[1]["machine"], pair[1]["env"]), []).append(pair)
    return list(found.values())


def _overall(pairs: list[Pair], losses: list[str]) -> Table:
    """Now over before on one machine, least and greatest: one line per loss, one column per implementation."""
    steps: dict[tuple[str, str], list[float]] = {}
    for pair in pairs:
        steps.setdefault((pair[1]["loss"], pair[1]["implementation"]), []).append(_ratio(pair))
    names = in_order({name for _, name in steps})
    rows = [
        [Cell(loss, link=file_name(loss)), *(_range(steps.get((loss, name), [])) for name in names)]
        for loss in losses
        if any((loss, name) in steps for name in names)
    ]
    columns = (("Loss", ""), *((name, "now over before, least to greatest, and over how many cases") for name in names))
    where = f"{pairs[0][1]['machine']}, {pairs[0][1]['env']}"
    return Table(f"The newest commit over the one before it on {where}", columns, rows)


def _range(ratios: list[float]) -> Cell:
    if not ratios:
        return Cell(wording.NOTHING)
    return Cell(f"{wording.digits(min(ratios))} to {wording.times(max(ratios))} ({len(ratios)})", sort=max(ratios))


def _steps(pairs: list[Pair]) -> dict[str, Any]:
    """The pairs whose intervals do not overlap, the largest step first, and how many are of code that never changed."""
    apart = [one for one in pairs if not tied(*map(_interval, one))]
    apart.sort(key=lambda one: -abs(math.log(_ratio(one))))
    unchanged, moved = (sum(one[1]["implementation"] == "torch" for one in some) for some in (pairs, apart))
    caption = f"{len(apart)} of {len(pairs)} series whose intervals do not overlap"
    return {
        "steps": Table(caption, STEPS, [_step(one) for one in apart]) if apart else None,
        "unchanged": f"Of torch’s own {unchanged} series, whose code did not change, {moved} are among them."
        if unchanged
        else "",
    }


def _interval(row: Row) -> Interval:
    return Interval(float(row["value"]), float(row["low"]), float(row["high"]))


def _ratio(pair: Pair) -> float:
    return float(pair[1]["value"] / pair[0]["value"])


def _step(pair: Pair) -> list[Cell]:
    before, now = pair
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
