"""Share of the ceiling over losses and implementations: one map per device, dtype, mode and memory level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from reports.site.conditions import conditions
from reports.site.figures import heatmap
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.view import Drawing, Page, drawing
from reports.statistics.ranking import SETUP

LEVEL = ("mode", "level")
LEVELS = ("memory", "L3", "L2", "L1")  # where the case's traffic lives, slowest first


def pages(material: Material) -> list[Page]:
    values = {
        "lead": "The share of the bandwidth, as measured in the same process, that each implementation reaches. 100 % "
        "is the limit for the bytes that a case must move. The darkest cells have the most to gain.",
        "conditions": conditions(material, material.rows),
        "groups": by_dtype(maps(material, "share", heatmap.share, "Percent of the ceiling", LEVEL)),
        "note": "The best size of each memory level. With small inputs the overhead of the call dominates. The ceiling "
        "is measured too, so a few percent above 100 are noise; a row far above it is rejected as impossible.",
        "empty": "No row has a measured ceiling yet.",
    }
    return [Page("ceilings.html", "Share of the ceiling", "maps.html", values)]


Draw = Callable[[pd.DataFrame, pd.DataFrame], Any]


def maps(
    material: Material, column: str, draw: Draw, what: str, parts: tuple[str, ...] = ()
) -> Iterator[tuple[str, Drawing]]:
    """(dtype, map) for each machine, device, dtype and value of `parts` with at least one number."""
    rows = material.rows.assign(level=material.rows["level"].fillna("any size"))
    for key, group in sorted(rows.groupby([*SETUP, "device", "dtype", *parts]), key=lambda item: _place(item[0])):
        if group[column].notna().any():
            machine, env, device, dtype, *rest = map(str, key)
            where = "" if len(material.setups) == 1 else f" ({machine}, {env})"
            caption = ", ".join([f"{what}: {device.upper()}", dtype, *map(_level, rest)]) + where + "."
            yield dtype, drawing(draw(*grid(group, column, material.loss_names)), caption, column, *key)


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
    return next((one for one in ("wrong", "impossible", "error", "unavailable") if one in set(statuses)), "ok")


def grid(rows: pd.DataFrame, column: str, order: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The largest number of correct rows by loss and implementation, and a word where there is none."""
    correct = rows[rows["status"] == "ok"]
    losses = [name for name in order if name in set(rows["loss"])]
    names = in_order(set(rows.loc[rows["status"] != "unavailable", "implementation"]))
    numbers = correct.pivot_table(index="loss", columns="implementation", values=column, aggfunc="max")
    words = rows.pivot_table(index="loss", columns="implementation", values="status", aggfunc=_worst)
    shown = words.replace({"unavailable": "n/a", "impossible": "too fast", "ok": "–"})
    return numbers.astype(float).reindex(index=losses, columns=names), shown.reindex(
        index=losses, columns=names
    ).fillna("–")
