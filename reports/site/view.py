"""What a page is made of before it is HTML: cells, tables, figures, pages. Templates turn them into text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports.site.figures.style import svg


@dataclass(frozen=True)
class Cell:
    """A table's cell: `sort` is what the column sorts by, `bar` a share from 0 to 1 drawn beside the text.

    `more` opens on demand, as (label, text) pairs; `kind` is a CSS class.
    """

    text: str
    sort: float | str | None = None
    kind: str = ""
    bar: float | None = None
    chip: str | None = None
    link: str | None = None
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """Columns are (heading, explanation); a heading carries the unit unless every cell does."""

    caption: str
    columns: tuple[tuple[str, str], ...]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Drawing:
    """A figure as inline SVG, with the sentence that says what it shows."""

    svg: str
    caption: str


def slug(*parts: object) -> str:
    """An id or file name from any words.

    >>> slug("mse_loss", "cpu", "py3.11-torch2.13.0")
    'mse_loss-cpu-py3-11-torch2-13-0'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(map(str, parts)))


def drawing(figure: Figure, caption: str, *name: object) -> Drawing:
    """A figure for a page; `name` makes its ids unique there."""
    return Drawing(svg(figure, slug(*name)), caption)


@dataclass(frozen=True)
class Page:
    """One file of the site: `name` is the file's, `template` fills it with `values`; `files` go beside it."""

    name: str
    title: str
    template: str
    values: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


def compare_command(row: pd.Series) -> str:
    """The command that measures a row's case again."""
    return (
        f"lossimpl compare {row['loss']} --shape {row['shape']} --dtype {row['dtype']}"
        f" --device {row['device']} --mode {row['mode']}"
    )
