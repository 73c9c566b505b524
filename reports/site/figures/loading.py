"""DataLoader configurations: throughput with intervals, memory, and the time of a batch by stage."""

from __future__ import annotations

import string
import textwrap

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lossimpl import wording
from reports.site.figures.style import INK, LOOKS, PAPER, panel, short

BEST, OTHER = LOOKS["native"][0], LOOKS["naive"][0]


def throughput(rows: pd.DataFrame) -> Figure:
    """Samples/s of correct configurations, fastest on top; those tied with it are coloured."""
    figure, axes = panel(5.0, 0.9 + 0.42 * len(rows))
    ordered = rows.sort_values("rate", ascending=False)
    colours = [BEST if rank == 1 else OTHER for rank in ordered["rank"]]
    places = range(len(ordered))
    axes.barh(places, ordered["rate"], color=colours, height=0.55, alpha=0.85)
    axes.hlines(places, ordered["rate_low"], ordered["rate_high"], color=INK, linewidth=1.6)
    axes.set_yticks(places, [textwrap.fill(label, 26) for label in ordered["label"]])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.set(xlabel="samples/s", ylabel="")
    return figure


def pareto(rows: pd.DataFrame) -> Figure:
    """Samples/s against memory; the line joins configurations that no other beats in both."""
    figure, axes = panel(5.0, 3.4)
    points = in_mib(rows)
    sns.scatterplot(data=points, x="mib", y="rate", color=OTHER, s=60, edgecolor=PAPER, ax=axes, zorder=3)
    front = unbeaten(points)
    axes.plot(
        front["mib"],
        front["rate"],
        color=BEST,
        marker="o",
        markersize=8,
        linewidth=1.4,
        drawstyle="steps-post",
        zorder=4,
    )
    for letter, (_, row) in zip(string.ascii_uppercase, front.iterrows(), strict=False):
        axes.annotate(letter, (row["mib"], row["rate"]), xytext=(5, -13), textcoords="offset points")
    axes.set(xlabel="memory of the process tree (PSS, MiB)", ylabel="samples/s", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.margins(x=0.15)
    return figure


def in_mib(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(mib=rows["pss_bytes"].astype(float) / 2**20).dropna(subset=["mib", "rate"])


def front_words(rows: pd.DataFrame) -> str:
    """The settings on the line of `pareto`, by their letters."""
    labels = unbeaten(in_mib(rows))["label"]
    return "; ".join(f"{letter}: {label}" for letter, label in zip(string.ascii_uppercase, labels, strict=False))


def unbeaten(points: pd.DataFrame) -> pd.DataFrame:
    """The rows that no other row beats in both speed and memory, by memory.

    >>> unbeaten(pd.DataFrame({"mib": [1, 2, 3], "rate": [5, 4, 9]}))["rate"].tolist()
    [5, 9]
    """
    ordered = points.sort_values(["mib", "rate"], ascending=[True, False])
    before = ordered["rate"].astype(float).cummax().shift(fill_value=float("-inf"))
    return ordered[ordered["rate"] > before]


def waterfall(stages: dict[str, float]) -> Figure:
    """Seconds per stage in order; each bar begins where the one before it ends."""
    figure, axes = panel(5.0, 0.9 + 0.34 * len(stages))
    lengths = pd.Series(stages, dtype=float) * 1e3
    starts = lengths.cumsum() - lengths
    axes.barh(range(len(lengths)), lengths, left=starts, color=BEST, height=0.55)
    for place, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        axes.annotate(
            wording.seconds(length / 1e3),
            (start + length, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(lengths)), [name.replace("_", " ") for name in lengths.index])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="time of a batch (ms)", ylabel="")
    axes.margins(x=0.15)
    return figure
