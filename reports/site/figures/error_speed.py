"""Error against throughput: right and fast is the lower right corner."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reports.site.figures.style import PAPER, in_order, look, plot_panel
from reports.site.figures.throughput import plain_ticks

EXACT = 0.1  # ULP: where anything nearer to the oracle is drawn, since a logarithm has no zero


def error_speed(rows: pd.DataFrame) -> Figure:
    """Worst distance from the oracle (value and gradient) in ULP against bytes/s, one point per row."""
    figure, axes = plot_panel()
    worst = rows[["value_ulp", "grad_ulp"]].astype(float).max(axis=1)
    points = rows.assign(error=worst.clip(lower=EXACT), speed=rows["rate"])
    points = points[points["error"].between(0, float("inf"), inclusive="left") & points["speed"].gt(0)]
    names = in_order(set(points["implementation"]))
    sns.scatterplot(
        data=points, x="speed", y="error", hue="implementation", style="implementation", hue_order=names,
        style_order=names, palette={name: look(name)[0] for name in names},
        markers={name: look(name)[1] for name in names}, s=64, edgecolor=PAPER, ax=axes, legend=False,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(EXACT / 2, max(10.0, 3 * points["error"].max()))
    plain_ticks(axes)
    axes.set(xlabel="throughput (B/s)", ylabel=f"worst error (ULP; {EXACT} is also 0)")
    axes.margins(x=0.1)
    return figure
