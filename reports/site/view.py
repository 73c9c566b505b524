"""Cells, tables, figures and pages before they are HTML; templates turn them into text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from lossimpl import wording
from reports.site import kept


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    `sort` is the value that its column sorts by, `kind` a CSS class, `bar` a share from 0 to 1 drawn below the text,
    `chip` the implementation whose colour it shows, and `more` are (label, text) pairs that open on demand.
    """

    text: str
    sort: float | str | None = None
    kind: str = ""
    bar: float | None = None
    chip: str | None = None
    link: str | None = None
    more: tuple[tuple[str, str], ...] = ()


def number(value: Any, words: Callable[[Any], str], kind: str = "", bar: bool = False) -> Cell:
    """A cell that shows a number in words and sorts by it, as far as it is known; `bar` draws it as a share."""
    known = float(value) if wording.known(value) else None
    return Cell(words(value), sort=known, kind=kind, bar=known if bar else None)


@dataclass(frozen=True)
class Table:
    """Columns are (heading, explanation); a heading has the unit unless every cell does.

    A large table has its rows as HTML, `body`, which is kept from one site to the next.
    """

    caption: str
    columns: tuple[tuple[str, str], ...]
    rows: list[list[Cell]] = field(default_factory=list)
    body: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption; `svg` gives it as inline SVG, and waits until it is drawn."""

    svg: Callable[[], str]
    caption: str


def slug(*parts: object) -> str:
    """An id or file name from any words.

    >>> slug("mse_loss", "cpu", "py3.11-torch2.13.0")
    'mse_loss-cpu-py3-11-torch2-13-0'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(map(str, parts)))


def drawing(caption: str, name: tuple[object, ...], draw: Callable[..., Figure], *data: object) -> Drawing:
    """A figure of some data for a page; `name` makes its ids unique on the page. One that was drawn before is kept."""
    return Drawing(kept.of((draw, data, slug(*name))), caption)


@dataclass(frozen=True)
class Page:
    """One file of the site: `template` rendered with `values` into the file `name`; `files` are written beside it."""

    name: str
    title: str
    template: str
    values: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


def compare_command(row: Mapping[str, Any]) -> str:
    """The command that measures a row's case again."""
    return (
        f"lossimpl compare {row['loss']} --shape {row['shape']} --dtype {row['dtype']}"
        f" --device {row['device']} --mode {row['mode']}"
    )
