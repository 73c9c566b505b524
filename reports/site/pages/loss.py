"""One page per loss: its formula, the result in a sentence, figures, every row, and the raw data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.record.frames import SESSION
from reports.site import kept
from reports.site.conditions import of_session, short_words
from reports.site.figures import ratios, throughput
from reports.site.figures.error_speed import error_speed
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages import rows as row_table
from reports.site.view import Drawing, Page, compare_command, drawing, slug
from reports.statistics.answers import answers, sentence
from reports.statistics.comparison import Comparison, comparisons, dtype_and_mode
from reports.statistics.ranking import Ranking, Row
from reports.statistics.sessions import Session


def pages(material: Material) -> list[Page]:
    return [_page(name, material) for name in material.loss_names]


def file_name(loss: str) -> str:
    return f"loss-{slug(loss)}.html"


def _page(name: str, material: Material) -> Page:
    shown = [(one, _of_loss(material.rankings_of(one), name)) for one in material.shown]
    shown = [(session, found) for session, found in shown if found]
    rows = [row for _, found in shown for one in found for row in one.rows]
    raw = f"data/{slug(name)}.csv"
    files = {raw: row_table.csv(rows), **_stored(material, name, {row["manifest"] for row in rows})} if rows else {}
    values = {
        "name": name,
        "loss": material.losses.get(name),
        "sections": [part for session, found in shown for part in _by_device(material, session, found)],
        "raw": raw if rows else None,
        "lines": next((one for one in files if one.endswith(".rows.jsonl")), None),
        "again": compare_command(rows[0]) if rows else f"lossimpl compare {name}",
    }
    return Page(file_name(name), name, "loss.html", values, files)


def _stored(material: Material, name: str, manifests: set[str]) -> dict[str, str]:
    """The rows of a loss and their manifests as they were stored, from which `lossimpl replay` measures one again."""
    lines = "".join(_lines(material, session, name) for session in material.shown if session.id)
    known = {
        one["id"]: {key: value for key, value in one.items() if key not in SESSION}
        for one in material.results.manifests
    }
    used = [one for key, one in known.items() if key in manifests]
    stem = f"data/{slug(name)}"
    return {f"{stem}.rows.jsonl": lines, f"{stem}.manifest.jsonl": _as_lines(used)} if lines else {}


def _lines(material: Material, session: Session, name: str) -> str:
    """The rows of a loss in a session, which are kept, since a finished session stays as it is."""
    results = material.results
    key = ("lines", session.key, name, results.version_of(session.key))
    return kept.text(key, lambda: _as_lines(results.lines_of(session.key, name)))


def _as_lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


def _of_loss(found: list[Ranking], name: str) -> list[Ranking]:
    """The cases of a loss: float32 first, the modes in their order, and the largest shapes first."""
    own = [one for one in found if one.case["loss"] == name]
    return sorted(
        own, key=lambda one: (*dtype_and_mode(one.case["dtype"], one.case["mode"]), -float(one.case["elements"]))
    )


def _by_device(material: Material, session: Session, found: list[Ranking]) -> Iterator[dict[str, Any]]:
    for device in sorted({str(one.case["device"]) for one in found}):
        yield _section(material, session, [one for one in found if one.case["device"] == device])


def _section(material: Material, session: Session, found: list[Ranking]) -> dict[str, Any]:
    name, device = str(found[0].case["loss"]), str(found[0].case["device"])
    ranked = [row for one in found for row in one.ranked]
    drawn = session in material.tables  # which has all cases; another session of the same machine has some of them
    return {
        "id": slug(device, *session.setup, session.commit, session.id),
        "title": " ".join(_title(material, session, device)),
        "old": not session.id,
        "reading": sentence(answers(found)[0]) if session.id else "",
        "conditions": [of_session(material, session)],
        "names": in_order({row["implementation"] for row in ranked}),
        "groups": list(_groups(slug(name, device, *session.setup, session.id), found)) if drawn else [],
        "table": row_table.table(found, f"{name} on {device.upper()}: every row"),
    }


def _title(material: Material, session: Session, device: str) -> Iterator[str]:
    """The device, its machine where there are several, and the session."""
    yield f"On {device.upper()}"
    if len({one.machine for one in material.shown}) > 1:
        yield f"of {session.machine}"
    yield f"({short_words(session)})"


def _groups(prefix: str, found: list[Ranking]) -> Iterator[dict[str, Any]]:
    """Figures per dtype, float32 first; only ranked rows are drawn."""
    for dtype in dict.fromkeys(str(one.case["dtype"]) for one in found):
        figures = list(_figures(slug(prefix, dtype), [one for one in found if one.case["dtype"] == dtype], dtype))
        if figures:
            yield {"title": dtype, "figures": figures}


def _figures(prefix: str, found: list[Ranking], dtype: str) -> Iterator[Drawing]:
    points = _ratios(comparisons(found))
    if points:
        caption = f"Time over that of native, {dtype}, with {wording.INTERVAL}s, paired within rounds."
        yield drawing(caption, (prefix, "ratios"), ratios.ratios, pd.DataFrame(points))
    for mode in dict.fromkeys(str(one.case["mode"]) for one in found):
        rows = pd.DataFrame([row for one in found if one.case["mode"] == mode for row in one.ranked])
        if len(rows) and rows["elements"].nunique() > 2 and rows["rate"].notna().any():
            bars = f"bars: {wording.INTERVAL}s, dashes: the ceiling"
            caption = f"Necessary bytes per second against size, {dtype}, {mode}; {bars}."
            yield drawing(caption, (prefix, "bytes", mode), throughput.traffic, rows)
    exact = [row for row in _largest(found) if wording.known(row["value_ulp"]) and wording.known(row["rate"])]
    if len(exact) > 2:
        caption = f"Error against throughput, {dtype}, the largest shape: the lower right is fast and exact."
        yield drawing(caption, (prefix, "error"), error_speed, pd.DataFrame(exact))


def _ratios(cases: list[Comparison]) -> list[dict[str, Any]]:
    """The claims of all cases against each alternative, as the points of a figure."""
    claims = [claim for one in cases for row in one.alternatives if (claim := one.against(row))]
    return [
        {
            "case": f"{claim.subject['mode']} {wording.shape(claim.subject['shape'])}",
            "implementation": claim.other["implementation"],
            **claim.ratio._asdict(),
        }
        for claim in claims
        if wording.known(claim.ratio.low)
    ]


def _largest(found: list[Ranking]) -> list[Row]:
    """The ranked rows of the largest case in the mode that most implementations ran in."""
    steps = [one for one in found if one.case["mode"] == "step"] or found
    return list(max(steps, key=lambda one: float(one.case["elements"])).ranked)
