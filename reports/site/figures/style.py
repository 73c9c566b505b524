"""What all figures share: one colour and marker per implementation, sizes, and SVG that follows the colour scheme.

Colours follow Okabe and Ito (2008), darkened where their contrast on white is below 3:1; markers distinguish series
without colour. In SVG each colour becomes a CSS variable, so that a page shows the same figure light or dark.
"""

from __future__ import annotations

import io
import re
import zlib
from functools import cache
from typing import TypeAlias

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossimpl import wording

Look: TypeAlias = tuple[str, str]  # colour, marker

INK, RULE, PAPER = "#1b1f24", "#d5d9de", "#fefefe"
GLYPHS = {
    "o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖", "<": "◀", ">": "▶", "h": "⬢", "p": "⬟",
    "*": "★",
}  # fmt: skip
LOOKS: dict[str, Look] = {
    "native": ("#0072b2", "o"),
    "torch": ("#d55e00", "s"),
    "compiled": ("#00845f", "^"),
    "vectorized": ("#b04f8f", "D"),
    "naive": ("#76797d", "v"),
    "liger": ("#8a6d00", "P"),
    "quack": ("#6a51a3", "X"),
    "torchvision": ("#3c8fc0", "<"),
    "pytorch-metric-learning": ("#a6361f", ">"),
}
SPARE: tuple[Look, ...] = (("#4d7a2a", "h"), ("#8c564b", "p"), ("#5a6b00", "*"))
ORDER = tuple(LOOKS)
PANEL = (4.4, 3.1)  # inches: the width of a phone, so that text is not scaled there

SETTINGS = {
    "svg.fonttype": "none",  # text stays text: the page's font, selectable, small
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def look(implementation: str) -> Look:
    """Colour and marker of an implementation, the same in every figure and page; a plug-in's follow from its name."""
    return LOOKS.get(implementation) or SPARE[zlib.crc32(implementation.encode()) % len(SPARE)]


def in_order(implementations: set[str]) -> list[str]:
    """Those with a look of their own in fixed order, then others by name."""
    return sorted(implementations, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


@cache
def set_theme() -> None:
    """Once per process, since it takes a tenth of a figure's time."""
    sns.set_theme(style="whitegrid", rc=SETTINGS)


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A panel whose margins are fitted to its labels."""
    set_theme()
    figure = Figure(figsize=(width, height), layout="constrained")  # without pyplot: no display, nothing to close
    return figure, figure.subplots()


def plot_panel(
    size: tuple[float, float] = PANEL, left: float = 0.75, bottom: float = 0.52, top: float = 0.16
) -> tuple[Figure, Axes]:
    """A panel with fixed margins in inches: those of a page align, and drawing takes half the time of fitting them."""
    set_theme()
    width, height = size
    figure = Figure(figsize=size)
    inner = (1 - (left + 0.13) / width, 1 - (bottom + top) / height)
    return figure, figure.add_axes((left / width, bottom / height, *inner))


def scatter(axes: Axes, points: pd.DataFrame, x: str, y: str, size: int, **style: object) -> None:
    """One marker per row in the look of its implementation."""
    names = in_order(set(points["implementation"]))
    sns.scatterplot(
        data=points, x=x, y=y, hue="implementation", style="implementation", hue_order=names, style_order=names,
        palette={name: look(name)[0] for name in names}, markers={name: look(name)[1] for name in names}, s=size,
        edgecolor=PAPER, ax=axes, legend=False, **style,
    )  # fmt: skip


def short(value: float, _: object = None) -> str:
    """The label of a tick.

    >>> short(1e6), short(0.01), short(2.5e10), short(150000)
    ('1 M', '0.01', '25 G', '150 k')
    """
    if value < 1e3:
        return f"{value:g}"
    factor, prefix = next(one for one in wording.DECIMAL if value >= one[0])
    return f"{value / factor:.3g} {prefix}"


def css_name(implementation: str) -> str:
    """The CSS variable that holds an implementation's colour.

    >>> css_name("native")
    'series-0072b2'
    """
    return f"series-{look(implementation)[0][1:]}"


def themes() -> str:
    """The CSS variables of the series colours: as drawn on a light background, lighter on a dark one."""
    series = [colour for colour, _ in (*LOOKS.values(), *SPARE)]
    light = "".join(f"--series-{colour[1:]}:{colour};" for colour in series)
    dark = "".join(f"--series-{colour[1:]}:color-mix(in srgb, {colour} 62%, white);" for colour in series)
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _variables() -> dict[str, str]:
    series = {colour: f"series-{colour[1:]}" for colour, _ in (*LOOKS.values(), *SPARE)}
    return {INK: "ink", RULE: "rule", PAPER: "paper", **series}


def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element: colours are CSS variables, ids begin with `name`."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", text)
    for colour, css in _variables().items():
        text = text.replace(colour, f"var(--{css})")
    return text
