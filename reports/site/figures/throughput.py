"""Throughput against size: one line per implementation, bars for its intervals, and the ceiling."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports.site.figures.style import INK, PAPER, in_order, look, plot_panel, short

MARKS = {"markersize": 7, "markeredgecolor": PAPER, "errorbar": None}


def traffic(rows: pd.DataFrame) -> Figure:
    """Necessary bytes per second against elements; `rows` are correct rows of one device, dtype and mode."""
    figure, axes = plot_panel()
    _lines(axes, rows.assign(y=rows["rate"], below=rows["rate_low"], above=rows["rate_high"]))
    _ceiling(axes, rows)
    axes.set_ylabel("throughput (B/s)")
    return figure


def elements(rows: pd.DataFrame) -> Figure:
    """Elements per second against elements, for the same rows."""
    figure, axes = plot_panel()
    factor = rows["elements"]
    _lines(axes, rows.assign(y=rows["element_rate"], below=factor / rows["high"], above=factor / rows["low"]))
    axes.set_ylabel("elements/s")
    return figure


def share(rows: pd.DataFrame) -> Figure:
    """Share of the ceiling in percent against elements, for the same rows; 100 is the limit."""
    figure, axes = plot_panel()
    limits = rows["ceiling"] / 100
    _lines(axes, rows.assign(y=rows["share"] * 100, below=rows["rate_low"] / limits, above=rows["rate_high"] / limits))
    axes.axhline(100, color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set_yscale("linear")
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylim(0, max(105.0, 105 * min(rows["share"].max(), 10.0)))
    axes.set_ylabel("% of the memory ceiling")
    return figure


def _lines(axes: Axes, rows: pd.DataFrame) -> None:
    for name in in_order(set(rows["implementation"])):
        one = rows[rows["implementation"] == name].sort_values("elements")
        colour, marker = look(name)
        sns.lineplot(data=one, x="elements", y="y", ax=axes, color=colour, marker=marker, **MARKS)
        bounded = one[one["below"].gt(0) & one["above"].gt(0)]
        axes.vlines(bounded["elements"], bounded["below"], bounded["above"], color=colour, linewidth=1.6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes)
    axes.set_xlabel("elements of the input")
    axes.margins(x=0.08)


def _ceiling(axes: Axes, rows: pd.DataFrame) -> None:
    """The ceiling per size, since a case that fits into a cache has a higher one."""
    limits = rows.dropna(subset=["ceiling"]).groupby("elements")["ceiling"].median()
    if limits.empty:
        return
    axes.plot(limits.index, limits, color=INK, linestyle=(0, (4, 3)), linewidth=1.2, marker="_", markersize=9)
    axes.annotate("ceiling", (limits.index[-1], limits.iloc[-1]), xytext=(0, 5), textcoords="offset points", ha="right")


def plain_ticks(axes: Axes) -> None:
    """Labels such as `1 M` at decades, and no ticks between: they cost most of the drawing time."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter(FuncFormatter(short))
        axis.set_minor_locator(NullLocator())
