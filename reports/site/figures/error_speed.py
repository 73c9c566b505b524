"""Error against throughput: the lower right corner is exact and fast."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from reports.site.figures.style import plot_panel, scatter
from reports.site.figures.throughput import plain_ticks

EXACT = 0.1  # ULP: smaller errors are drawn here, since a logarithmic axis has no zero


def error_speed(rows: pd.DataFrame) -> Figure:
    """Largest distance from the reference (value and gradient) in ULP against bytes/s, one point per row."""
    figure, axes = plot_panel()
    worst = rows[["value_ulp", "grad_ulp"]].astype(float).max(axis=1)
    points = rows.assign(error=worst.clip(lower=EXACT), speed=rows["rate"])
    points = points[points["error"].between(0, float("inf"), inclusive="left") & points["speed"].gt(0)]
    scatter(axes, points, "speed", "error", 64)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(EXACT / 2, max(10.0, 3 * points["error"].max()))
    plain_ticks(axes)
    axes.set(xlabel="throughput (B/s)", ylabel=f"largest error (ULP; {EXACT} or less)")
    axes.margins(x=0.1)
    return figure
