"""The figure of a claim: one line per series, or one dot per category."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from reports.site.figures.style import LOOKS, PANEL, SPARE, panel

SERIES = (*LOOKS.values(), *SPARE)
MARKED = 25  # points of a series; more are drawn as a plain line


def claim(record: Mapping[str, Any]) -> Figure:
    """The points of a stored claim; an interval is a vertical bar."""
    points = pd.DataFrame(record["points"])
    categories = list(dict.fromkeys(one for one in points["x"] if isinstance(one, str)))
    series = list(dict.fromkeys(points["series"]))
    height = PANEL[1] + 0.2 * len(series) if not categories else 1.2 + 0.3 * len(categories) + 0.2 * len(series)
    figure, axes = panel(PANEL[0] + 0.8, height)
    for (colour, marker), name in zip(SERIES, series, strict=False):
        one = points[points["series"] == name]
        if categories:
            places = [categories.index(x) for x in one["x"]]
            axes.hlines(places, one["low"].astype(float), one["high"].astype(float), color=colour)
            axes.plot(one["y"], places, color=colour, marker=marker, linestyle="", label=name)
        else:
            axes.vlines(one["x"].astype(float), one["low"].astype(float), one["high"].astype(float), color=colour)
            mark = marker if len(one) <= MARKED else ""
            axes.plot(one["x"].astype(float), one["y"], color=colour, marker=mark, markersize=5, label=name)
    _axes(axes, record, categories)
    figure.legend(loc="outside upper left", frameon=False, fontsize=9)
    return figure


def _axes(axes: Any, record: Mapping[str, Any], categories: Sequence[str]) -> None:
    """Labels and scales; categories stand on the vertical axis, where their names have space."""
    x_scale, y_scale = ("log" if record[name] else "linear" for name in ("log_x", "log_y"))
    if categories:
        axes.set_yticks(range(len(categories)), categories)
        axes.set(xlabel=record["y"], ylabel=record["x"], xscale=y_scale, ylim=(len(categories) - 0.5, -0.5))
    else:
        label = textwrap.fill(record["y"], 28)
        axes.set(xlabel=record["x"], ylabel=label, xscale=x_scale, yscale=y_scale)
    if record["log_x"]:
        axes.xaxis.set_minor_formatter(NullFormatter())
        _few_values(axes, sorted({one["x"] for one in record["points"]}))


def _few_values(axes: Any, values: Sequence[float]) -> None:
    """A few values within two decades are the ticks, since powers of ten would be too few."""
    if values[-1] < 100 * values[0]:
        axes.set_xticks(values, [f"{one:g}" for one in values])
