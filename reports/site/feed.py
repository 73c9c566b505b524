"""An Atom feed of what the nights reported, for those who do not open the site every day; asv's writer writes it."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from asv.feed import FeedEntry, write_atom

from lossimpl import wording

FILE = "feed.xml"
PAGE = "history.html"  # where a change is drawn; addresses are relative to the feed's own
MOST = 200  # entries, the newest
FIRST = datetime(2024, 1, 1, tzinfo=UTC)  # of a feed without entries: the same bytes in every build


def feed(nights: Iterable[Mapping[str, Any]], dates: pd.Series[Any]) -> str:
    """The feed of the lines of `changes.jsonl`, each with its `machine`; `dates` has those of the commits."""
    standing = [one for one in nights if "moved_to" not in one and one.get("stands", True)]
    entries = sorted((_entry(one, dates.get(one["commit"])) for one in standing), key=lambda one: one.updated)
    entries = entries[: -MOST - 1 : -1]
    held = io.BytesIO()
    updated = max((one.updated for one in entries), default=FIRST)
    write_atom(held, entries, "lossimpl", "Changes of speed, accuracy and memory", "lossimpl", updated, "index.html")
    return held.getvalue().decode()


def _entry(one: Mapping[str, Any], date: Any) -> FeedEntry:
    """An entry; its id stays the same when pairs settle the change anew."""
    where = f"{one.get('row') or 'all rows'} on {one['machine']}"
    words = " ".join(str(one[name]) for name in ("again", "text", "event") if one.get(name))
    key = [str(one.get(name, "")) for name in ("machine", "row", "environment", "event", "commit", "text")]
    when = date.to_pydatetime() if isinstance(date, pd.Timestamp) else FIRST
    title, content = f"{one['commit']}: {_what(one)}: {where}", html.escape(words) or None
    return FeedEntry(title, when, PAGE, content, id_context=key, id_date=FIRST)


def _what(one: Mapping[str, Any]) -> str:
    if "ratio" in one:
        return f"{'slower' if one['ratio'] > 1 else 'faster'}, {wording.times(one['ratio'])} as long"
    return "new environment" if "event" in one else "worse"
