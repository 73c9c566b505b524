"""The ceilings of a session, and the share of them over losses and implementations, as maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import of_session
from reports.site.figures import heatmap
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.view import Cell, Drawing, Page, Table, drawing, number
from reports.statistics.roofline import pooled_ceilings
from reports.statistics.sessions import SETUP, Session, rankable

LEVEL = ("mode", "level")
LEVELS = ("memory", "L3", "L2", "L1")  # where the case's traffic lives, slowest first
POOLED = (
    ("Machine", ""),
    ("Device", ""),
    ("Working set", "where it fits"),
    ("Kind", "copy: read and written; read: only read"),
    ("Ceiling", "over the cases and rounds of the session"),
    (wording.INTERVAL, "for the ceiling that another session measures"),
    ("Cases", "that measured it"),
)


def pages(material: Material) -> list[Page]:
    sessions = [one for one in material.tables if one.id]
    rows = rows_of(material, sessions)
    values = {
        "lead": "The share of the bandwidth, as measured in the same round, that each implementation reaches. 100 % "
        "is the limit for the bytes that a case must move. The darkest cells have the most to gain.",
        "conditions": [of_session(material, one) for one in sessions],
        "pooled": _pooled(rows),
        "groups": by_dtype(
            maps(material, rows, rows["share"].where(rankable(rows)), heatmap.share, "Percent of the ceiling", LEVEL)
        ),
        "note": "The best size of each memory level. With small inputs the overhead of the call dominates. The ceiling "
        "is measured too, so a few percent above 100 are noise; a row far above it is rejected as impossible.",
        "empty": "No row has a measured ceiling yet.",
    }
    return [Page("ceilings.html", "Share of the ceiling", "ceilings.html", values)]


def rows_of(material: Material, sessions: Iterable[Session]) -> pd.DataFrame:
    """The rows of all these sessions."""
    found = [material.rows_of(one) for one in sessions]
    return pd.concat(found) if found else material.no_rows


def _pooled(rows: pd.DataFrame) -> Table | None:
    found = pooled_ceilings(rows)
    if found.empty:
        return None
    places = found["level"].map(lambda level: LEVELS.index(level) if level in LEVELS else len(LEVELS))
    ordered = found.assign(place=places).sort_values(["machine", "device", "place", "ceiling_name"])
    return Table("The ceilings of this session", POOLED, [_ceiling(row) for row in ordered.to_dict("records")])


def _ceiling(row: dict[Any, Any]) -> list[Cell]:
    known = wording.known(row["low"])
    interval = f"{wording.rate(row['low'])} to {wording.rate(row['high'])}" if known else "too few rounds"
    return [
        Cell(row["machine"]),
        Cell(str(row["device"]).upper()),
        Cell(_level(row["level"]).removeprefix("from ")),
        Cell(row["ceiling_name"]),
        number(row["value"], wording.rate),
        Cell(interval),
        number(row["cases"], wording.count),
    ]


Draw = Callable[[pd.DataFrame, pd.DataFrame], Any]


def maps(
    material: Material,
    rows: pd.DataFrame,
    numbers: pd.Series[float],
    draw: Draw,
    what: str,
    parts: tuple[str, ...] = (),
) -> Iterator[tuple[str, Drawing]]:
    """(dtype, map) for each machine, device, dtype and value of `parts` with at least one of the `numbers` of `rows`.

    A row without a number says by its status why the cell has none.
    """
    rows = rows.assign(level=rows["level"].astype(object).fillna("any size"), shown=numbers)
    several = len(rows[SETUP].drop_duplicates()) > 1
    for key, group in sorted(rows.groupby([*SETUP, "device", "dtype", *parts]), key=lambda item: _place(item[0])):
        if group["shown"].notna().any():
            machine, env, device, dtype, *rest = map(str, key)
            where = f" ({machine}, {env})" if several else ""
            caption = ", ".join([f"{what}: {device.upper()}", dtype, *map(_level, rest)]) + where + "."
            yield dtype, drawing(caption, (numbers.name, *key), draw, *grid(group, material.loss_names))


def by_dtype(drawings: Iterable[tuple[str, Drawing]]) -> list[tuple[str, list[Drawing]]]:
    """The drawings by dtype, float32 first."""
    found: dict[str, list[Drawing]] = {}
    for dtype, one in drawings:
        found.setdefault(dtype, []).append(one)
    return sorted(found.items(), key=lambda item: (item[0] != "float32", item[0]))


def _place(key: Any) -> list[object]:
    preferred = ("float32", "step", *LEVELS)
    return [(preferred.index(part) if part in preferred else len(preferred), part) for part in key]


def _level(part: str) -> str:
    return {"memory": "from main memory", **{level: f"from {level} cache" for level in LEVELS[1:]}}.get(part, part)


def _worst(statuses: pd.Series) -> str:
    return next(
        (one for one in ("wrong", "impossible", "error", "disturbed", "unavailable") if one in set(statuses)), "ok"
    )


def grid(rows: pd.DataFrame, order: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The largest `shown` number by loss and implementation, and a word where there is none."""
    losses = [name for name in order if name in set(rows["loss"])]
    names = in_order(set(rows.loc[rows["status"] != "unavailable", "implementation"]))
    numbers = rows.pivot_table(index="loss", columns="implementation", values="shown", aggfunc="max")
    words = rows.pivot_table(index="loss", columns="implementation", values="status", aggfunc=_worst)
    shown = words.replace({"unavailable": "n/a", "impossible": "too fast", "disturbed": "busy", "ok": "–"})
    return numbers.astype(float).reindex(index=losses, columns=names), shown.reindex(
        index=losses, columns=names
    ).fillna("–")
