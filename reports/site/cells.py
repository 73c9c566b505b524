"""The rows of a table as HTML: pages have hundreds of thousands of cells, for which templates take seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup, escape

from reports.site.figures.style import GLYPHS, css_name, look
from reports.site.view import Cell


def row(cells: Sequence[Cell]) -> Markup:
    """A row, whose first cell is its heading.

    >>> print(row([Cell("mse_loss"), Cell("1.2 s", sort=1.2)]))
    <tr><th scope=row>mse_loss</th><td data-sort="1.2">1.2 s</td></tr>
    """
    tags = ["th scope=row", *["td"] * (len(cells) - 1)]
    parts = (f"<{tag}{_attributes(one)}>{cell(one)}</{tag[:2]}>" for tag, one in zip(tags, cells, strict=True))
    return Markup(f"<tr>{''.join(parts)}</tr>")


def body(rows: Iterable[Sequence[Cell]]) -> str:
    """Several rows, a line each."""
    return "\n".join(map(row, rows))


def _attributes(one: Cell) -> str:
    kind = f' class="{escape(one.kind)}"' if one.kind else ""
    return kind + (f' data-sort="{escape(one.sort)}"' if one.sort is not None else "")


def cell(one: Cell) -> Markup:
    """What a cell shows."""
    return Markup(_content(one) + (bar(one.bar) if one.bar is not None else ""))


def _content(one: Cell) -> str:
    if one.chip:
        return chip(one.chip)
    if one.link:
        return f'<a href="{escape(one.link)}">{breakable(one.text)}</a>'
    if one.more:
        return f"<details><summary>{escape(one.text)}</summary><dl>\n{''.join(_more(one))}</dl></details>"
    if "status" in one.kind:
        return f'<span class="badge">{escape(one.text)}</span>'
    return quoted(one.text)


def _more(one: Cell) -> Iterator[str]:
    for label, text in one.more:
        safe = escape(text)
        shown = {
            "Again": f"<code>{safe}</code>",
            "Replay": f"<code>{safe}</code>",
            "Manifest": f'<a href="environment.html#m-{safe}">{safe}</a>',
        }.get(label, safe)
        yield f"<dt>{escape(label)}</dt><dd>{shown}</dd>\n"


def chip(name: str) -> Markup:
    """An implementation's name with its colour and marker."""
    glyph = f'<span aria-hidden="true" class="glyph">{GLYPHS[look(name)[1]]}</span>'
    return Markup(f'<span class="chip" style="--series:var(--{escape(css_name(name))})">{glyph}{escape(name)}</span>')


def bar(share: float) -> Markup:
    """A share from 0 to 1 as a bar."""
    width = round(min(100 * share, 100), 1)
    return Markup(f'<span class="bar" aria-hidden="true"><span style="width:{width}%"></span></span>')


def breakable(name: str) -> Markup:
    """A name that may break after an underscore.

    >>> str(breakable("mse_loss"))
    'mse_<wbr>loss'
    """
    return escape(name).replace("_", Markup("_<wbr>"))


def quoted(text: str) -> Markup:
    """Text in which words between backticks are shown as code.

    >>> str(quoted("raise `ulimit -n`"))
    'raise <code>ulimit -n</code>'
    """
    safe = escape(text)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(safe))) if "`" in text else safe
