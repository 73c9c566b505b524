"""Series over commits: one line per implementation, with its interval as a band."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.site.figures.style import INK, in_order, look, plot_panel
from reports.site.figures.throughput import MARKS


def history(rows: pd.DataFrame, changes: list[str]) -> Figure:
    """Time relative to the first commit of each line, over commits by date; `changes` are commits to mark.

    Each environment has lines of its own.
    """
    figure, axes = plot_panel()
    commits = list(dict.fromkeys(rows.sort_values("date")["commit"]))
    placed = rows.assign(place=rows["commit"].map(commits.index)).sort_values("place")
    for name in in_order(set(rows["implementation"])):
        for _, one in placed[placed["implementation"] == name].groupby("env"):
            _line(axes, one, name)
    for commit in changes:
        axes.axvline(commits.index(commit), color=INK, linewidth=1, linestyle=(0, (2, 2)))
    labelled = range(0, len(commits), max(1, len(commits) // 3))
    axes.set_xticks(labelled, [commits[place] for place in labelled])
    axes.set_ylim(bottom=0)
    axes.set(xlabel="commit, oldest first", ylabel="time relative to the first")
    return figure


def _line(axes: Axes, one: pd.DataFrame, name: str) -> None:
    colour, marker = look(name)
    first = one["value"].iloc[0]
    low, high = one["low"].clip(lower=0) / first, one["high"] / first
    axes.fill_between(one["place"], low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(one["place"], one["value"] / first, color=colour, marker=marker, **MARKS)
