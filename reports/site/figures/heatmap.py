"""Losses by implementations as a heat map: a number in each cell, or a word where there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.site.figures.style import INK, PAPER, plot_panel


def share(numbers: pd.DataFrame, words: pd.DataFrame) -> Figure:
    """Share of the ceiling in percent; the scale is always 0 to 100, so that maps can be compared."""
    percent = numbers * 100
    return _map(percent, percent, words, cmap="viridis", vmin=0, vmax=100)


def error(numbers: pd.DataFrame, words: pd.DataFrame) -> Figure:
    """Distance from the reference in ULP, coloured by its logarithm."""
    decades = numbers.clip(lower=0.1, upper=1e4).map(math.log10)
    return _map(decades, numbers, words, cmap="cividis_r", vmin=-1, vmax=4)


def _map(colours: pd.DataFrame, numbers: pd.DataFrame, words: pd.DataFrame, **scale: object) -> Figure:
    rows, columns = numbers.shape
    figure, axes = plot_panel((1.88 + 0.66 * columns, 0.47 + 0.36 * rows), left=1.75, bottom=0.05, top=0.42)
    sns.heatmap(
        colours.astype(float), annot=numbers.map(_text), fmt="", ax=axes, linewidths=2, linecolor=PAPER,
        cbar=False, annot_kws={"fontsize": 10}, **scale,
    )  # fmt: skip
    _write_words(axes, numbers, words)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="x", labeltop=True, labelbottom=False, length=0, rotation=0)
    axes.tick_params(axis="y", length=0, rotation=0)
    axes.set_xticklabels([name.replace("-", "-\n") for name in numbers.columns])
    axes.set_yticklabels([name.replace("_with_", "_\nwith_") for name in numbers.index])
    axes.grid(visible=False)
    return figure


def _text(value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _write_words(axes: Axes, numbers: pd.DataFrame, words: pd.DataFrame) -> None:
    for (row, column), value in np.ndenumerate(numbers.to_numpy(dtype=float)):
        if np.isnan(value):
            why = str(words.iat[row, column])
            weight = "bold" if why == "wrong" else "normal"
            axes.text(column + 0.5, row + 0.5, why, ha="center", va="center", fontsize=9, color=INK, weight=weight)
