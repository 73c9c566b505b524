"""All losses in one picture: the share of the ceiling of each implementation, as dots."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.site.figures.style import INK, in_order, look, panel, scatter


def overview(rows: pd.DataFrame, legend: bool = False) -> Figure:
    """Share of the ceiling per loss; `rows` are the ranked rows of one case per loss, in the order to show."""
    losses = list(dict.fromkeys(rows["loss"]))
    figure, axes = panel(5.2, 0.9 + 0.36 * len(losses))
    names = in_order(set(rows["implementation"]))
    points = rows.assign(percent=rows["share"] * 100, place=rows["loss"].map(losses.index))
    points = points.sort_values("implementation", key=lambda one: one.map(names.index), ascending=False)  # ours on top
    reach = points.groupby("place")["percent"].agg(["min", "max"])
    axes.hlines(reach.index.to_numpy(), reach["min"], reach["max"], color=INK, linewidth=0.6, alpha=0.4)
    for name in names:
        one = points[points["implementation"] == name]
        colour = look(name)[0]
        axes.hlines(
            one["place"], one["share_low"] * 100, one["share_high"] * 100, color=colour, linewidth=3, alpha=0.45
        )
    scatter(axes, points, "percent", "place", 70, zorder=3, clip_on=False)
    axes.set_yticks(range(len(losses)), [name.replace("_with_", "_\nwith_") for name in losses])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.axvline(100, color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set(xlabel="% of the memory ceiling (100 is the limit)", ylabel="")
    axes.set_xlim(0, max(102.0, points["percent"].max() * 1.05, points["share_high"].max() * 102))
    if legend:
        marks = [Line2D([], [], color=look(name)[0], marker=look(name)[1], linestyle="", label=name) for name in names]
        figure.legend(
            handles=marks, loc="outside upper center", ncols=len(names), frameon=False, fontsize=9, handletextpad=0.1
        )
    return figure
