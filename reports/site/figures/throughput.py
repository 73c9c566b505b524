"""Throughput against size: one line per implementation, bars for its intervals, and the ceiling."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports.site.figures.style import INK, PAPER, in_order, look, plot_panel, short

MARKS: dict[str, Any] = {"markersize": 7, "markeredgecolor": PAPER}


def traffic(rows: pd.DataFrame) -> Figure:
    """Necessary bytes per second against elements; `rows` are ranked rows of one device, dtype and mode."""
    figure, axes = plot_panel()
    for name in in_order(set(rows["implementation"])):
        one = rows[rows["implementation"] == name].sort_values("elements")
        colour, marker = look(name)
        axes.plot(one["elements"], one["rate"], color=colour, marker=marker, **MARKS)
        axes.vlines(one["elements"], one["rate_low"], one["rate_high"], color=colour, linewidth=1.6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes)
    axes.set(xlabel="elements of the input", ylabel="throughput (B/s)")
    axes.margins(x=0.08)
    _ceiling(axes, rows)
    return figure


def _ceiling(axes: Axes, rows: pd.DataFrame) -> None:
    """The ceiling per size, since a case that fits into a cache has a higher one."""
    limits = rows.dropna(subset=["ceiling"]).groupby("elements")["ceiling"].median()
    if limits.empty:
        return
    axes.plot(limits.index, limits, color=INK, linestyle=(0, (4, 3)), linewidth=1.2, marker="_", markersize=9)
    axes.annotate("ceiling", (limits.index[0], limits.iloc[0]), xytext=(0, 5), textcoords="offset points")


def plain_ticks(axes: Axes) -> None:
    """Labels such as `1 M` at decades, and no ticks between: they cost most of the drawing time."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter(FuncFormatter(short))
        axis.set_minor_locator(NullLocator())
