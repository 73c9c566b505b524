"""One page per loss: its formula, the result in a sentence, figures, every row, and the raw data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.figures import throughput
from reports.site.figures.error_speed import error_speed
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages import rows as row_table
from reports.site.view import Drawing, Page, compare_command, drawing, slug
from reports.statistics.answers import answers, sentence


def pages(material: Material) -> list[Page]:
    return [_page(name, material) for name in material.loss_names]


def file_name(loss: str) -> str:
    return f"loss-{slug(loss)}.html"


def _page(name: str, material: Material) -> Page:
    rows = material.rows[material.rows["loss"] == name]
    raw = f"data/{slug(name)}.csv"
    values = {
        "name": name,
        "loss": material.losses.get(name),
        "readings": [sentence(one) for one in answers(rows)],
        "names": in_order(set(rows.loc[rows["status"] == "ok", "implementation"])),
        "sections": [_section(material, setup, one) for setup in material.setups for one in _by_device(rows, setup)],
        "raw": raw if len(rows) else None,
        "again": compare_command(rows.iloc[0]) if len(rows) else f"lossimpl compare {name}",
    }
    return Page(file_name(name), name, "loss.html", values, {raw: row_table.csv(rows)} if len(rows) else {})


def _by_device(rows: pd.DataFrame, setup: tuple[str, str]) -> list[pd.DataFrame]:
    here = rows[(rows["machine"] == setup[0]) & (rows["env"] == setup[1])]
    return [one for _, one in here.groupby("device", sort=True)]


def _section(material: Material, setup: tuple[str, str], rows: pd.DataFrame) -> dict[str, Any]:
    name, device = rows.iloc[0][["loss", "device"]]
    correct = rows[(rows["status"] == "ok") & rows["value"].gt(0)]
    return {
        "id": slug(device, *setup),
        "device": str(device).upper(),
        "conditions": conditions(material, rows),
        "groups": list(_groups(slug(name, device, *setup), correct)),
        "table": row_table.table(rows, f"{name} on {str(device).upper()}: every row"),
    }


def _groups(prefix: str, correct: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Figures per dtype and mode, training steps in float32 first."""
    order = correct.assign(first=(correct["dtype"] != "float32") * 2 + (correct["mode"] != "step"))
    for (_, dtype, mode), rows in order.groupby(["first", "dtype", "mode"]):
        if len(rows) < 2:
            continue  # one point makes no figure; it is in the table
        title = f"{dtype}, {mode}"
        yield {"title": title, "figures": list(_figures(slug(prefix, dtype, mode), rows, title))}


def _figures(prefix: str, rows: pd.DataFrame, what: str) -> Iterator[Drawing]:
    if rows["rate"].notna().any():
        caption = f"Necessary bytes per second against size, {what}; bars: {wording.INTERVAL}s, dashes: the ceiling."
        yield drawing(throughput.traffic(rows), caption, prefix, "bytes")
    if rows["element_rate"].notna().any():
        yield drawing(throughput.elements(rows), f"Elements per second against size, {what}.", prefix, "elements")
    if rows["share"].notna().any():
        yield drawing(throughput.share(rows), f"Share of the memory ceiling against size, {what}.", prefix, "share")
    if (rows["rate"].notna() & rows["value_ulp"].notna()).any():
        caption = f"Error against throughput, {what}: the lower right is fast and exact."
        yield drawing(error_speed(rows), caption, prefix, "error")
