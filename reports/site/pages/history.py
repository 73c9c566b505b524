"""Series over commits with their intervals, and the commits where a series changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

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
from reports.statistics.roofline import elements
from reports.statistics.series import events_of, found_in

PANEL = ["machine", "shape", "dtype", "device", "mode"]  # one figure per loss; environments are separate lines
SHOWN = 1  # figure per loss, and those of series with a change point
MOST_FIGURES = 8  # per loss: the newest changes
MOST_COMMITS = 300  # in a figure
MOST_STEPS = 300  # in the table
STEPS = (
    ("Loss", ""), ("Implementation", ""), ("Case", "shape, dtype, device and mode"), ("Ratio", "now over before"),
    ("Reading", "by the intervals of both sessions"), ("Before", "time per call"), ("Now", "time per call"),
    ("From", "commit before"), ("To", "newest commit"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    order = list(material.results.commits.index)
    changes = ChangePoints(found_in(material.series), events_of(material.series, order), material.results.nights)
    several = _several(material)
    pairs = _pairs(several)
    names = [name for name in material.loss_names if (several["loss"] == name).any()]
    chosen = {name: _chosen(material, several[several["loss"] == name], changes) for name in names}
    points = iter(material.results.points([rows for one in chosen.values() for _, rows in one.figures], MOST_COMMITS))
    values = {
        "where": _where(material, several),
        "commits": _commits(material),
        "sections": [_section(name, one, points, changes) for name, one in chosen.items()],
        "overall": [_overall(one, material.loss_names) for one in _by_setup(pairs)],
        **_steps(pairs),
        **changes.tables(),
    }
    return [Page("history.html", "History", "history.html", values)]


def _several(material: Material) -> pd.DataFrame:
    """The series of losses of which several commits were measured, in whichever environment."""
    series = material.series[material.series["loss"].notna() & material.series["mode"].notna()]
    sizes = series["shape"].map(elements).astype(float)
    grouped = series.groupby([*PANEL, "loss", "implementation"])
    moved = (grouped["points"].transform("max") > 1) | (grouped["first"].transform("nunique") > 1)
    return series.assign(elements=sizes)[moved]


def _commits(material: Material) -> int:
    counts = material.results.counts
    return int(counts.loc[counts["points"] > 0, "commit"].nunique())


def _where(material: Material, series: pd.DataFrame) -> list[str]:
    """A line per machine and environment: how many commits, and when the newest was measured."""
    counts = material.results.counts
    lines = []
    for (machine, env), one in series.groupby(["machine", "env"]):
        measured = counts[(counts["machine"] == machine) & (counts["env"] == env) & (counts["points"] > 0)]
        commits = measured.sort_values("date", kind="stable")["commit"]
        lines.append(
            f"{described(material, str(machine))} · {env} · {commits.nunique()} commits, the newest "
            f"{commits.iloc[-1]} measured {one['newest'].max():%Y-%m-%d}"
        )
    return lines


class Chosen(NamedTuple):
    """The series of each figure of a loss with its key, and how many cases have no figure."""

    figures: list[tuple[list[str], pd.DataFrame]]
    more: int
    names: list[str]


def _chosen(material: Material, series: pd.DataFrame, changes: ChangePoints) -> Chosen:
    cases = list(_cases(series))
    newest = _newest([one for _, one in cases], changes.changed, list(material.results.commits.index))
    marked = sorted(newest, key=lambda place: (-newest[place], place))[:MOST_FIGURES]
    shown = sorted({*range(min(SHOWN, len(cases))), *marked})
    names = in_order(set(series["implementation"]))
    return Chosen([cases[place] for place in shown], len(cases) - len(shown), names)


def _section(name: str, chosen: Chosen, points: Iterator[pd.DataFrame], changes: ChangePoints) -> dict[str, Any]:
    drawn = [(key, next(points)) for key, _ in chosen.figures]
    return {
        "loss": name,
        "file": file_name(name),
        "names": chosen.names,
        "figures": [_figure(name, key, rows, changes.on(rows)) for key, rows in drawn],
        "more": chosen.more,
    }


def _newest(cases: list[pd.DataFrame], changed: dict[Any, str], order: list[str]) -> dict[int, int]:
    """By the number of each case of which a series changed, the place of its newest change among all commits."""
    places = {commit: place for place, commit in enumerate(order)}
    found = {}
    for case, one in enumerate(cases):
        keys = zip(one["machine"], one["benchmark"], one["params"], strict=True)
        if known := [places[changed[key]] for key in keys if changed.get(key) in places]:
            found[case] = max(known)
    return found


def _cases(series: pd.DataFrame) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """The series of each figure: training steps in float32 first, then the newest machine, then the largest cases."""
    newest = series.groupby("machine")["newest"].transform("max")
    order = series.assign(
        other=(series["dtype"] != "float32") * 2 + (series["mode"] != "step"),
        age=newest.rank(method="dense", ascending=False),
        small=-series["elements"],
    )
    for (_, _, _, *key), one in order.groupby(["other", "age", "small", *PANEL]):
        yield list(map(str, key)), one


def _figure(name: str, key: list[str], rows: pd.DataFrame, changes: list[str]) -> Drawing:
    machine, shape, dtype, device, mode = key
    bands = f"bands are {wording.INTERVAL}s" if rows["low"].notna().any() else "one process per point, so no interval"
    caption = f"{wording.shape(shape)}, {dtype}, {mode}, {device.upper()}, {machine}; {bands}."
    return drawing(caption, (name, *key), history, rows, changes)


Pair = tuple[Row, Row]


def _pairs(series: pd.DataFrame) -> list[Pair]:
    """The last two points of each series that have intervals between runs."""
    rows = [{str(name): row[name] for name in row} for row in series[series["now"].notna()].to_dict("records")]
    return [({**row, **row["before"]}, {**row, **row["now"]}) for row in rows]


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
    most = f", the {MOST_STEPS} largest steps" if len(apart) > MOST_STEPS else ""
    caption = f"{len(apart)} of {len(pairs)} series whose intervals do not overlap{most}"
    return {
        "steps": Table(caption, STEPS, [_step(one) for one in apart[:MOST_STEPS]]) if apart else None,
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
