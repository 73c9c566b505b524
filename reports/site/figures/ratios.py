"""How many times as long each implementation takes as native, case by case, with intervals."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports.site.figures.style import PAPER, RULE, in_order, look, plot_panel, short


def ratios(points: pd.DataFrame) -> Figure:
    """One line per case, in the order of `points`, and a dot per implementation at its ratio; native is at 1."""
    cases = list(dict.fromkeys(points["case"]))
    names = in_order(set(points["implementation"]))
    figure, axes = plot_panel((5.0, 0.65 + 0.36 * len(cases)), left=1.75, top=0.1)
    axes.axvline(1, color=look("native")[0], linewidth=1.6)
    for name in names:
        one = points[points["implementation"] == name]
        colour, marker = look(name)
        places = one["case"].map(cases.index) + _offset(names.index(name), len(names))
        axes.hlines(places, one["low"], one["high"], color=colour, linewidth=1.6)
        axes.plot(one["value"], places, color=colour, marker=marker, linestyle="", markersize=7, markeredgecolor=PAPER)
    axes.set_yticks(range(len(cases)), cases)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for place in range(1, len(cases)):
        axes.axhline(place - 0.5, color=RULE, linewidth=0.7)
    _ratio_axis(axes, points)
    return figure


def _offset(place: int, count: int) -> float:
    """The places of several implementations of one case, side by side within its line."""
    return 0.5 * ((place + 0.5) / count - 0.5)


def _ratio_axis(axes: Axes, points: pd.DataFrame) -> None:
    axes.set_xscale("log")
    low, high = min(0.8, points["low"].min() * 0.9), max(1.5, points["high"].max() * 1.1)
    axes.set_xlim(low, high)
    steps = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{short(value)}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="time over native's time", ylabel="")
