"""Distance from the float64 reference over losses and implementations, for the value and for the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import of_session
from reports.site.figures import heatmap
from reports.site.material import Material
from reports.site.pages.ceilings import by_dtype, maps, rows_of
from reports.site.pages.loss import file_name
from reports.site.pages.rows import first_line
from reports.site.view import Cell, Drawing, Page, Table, number

WRONG = (
    ("Loss", ""), ("Implementation", ""), ("Shape", "of the input"), ("Dtype", ""), ("Mode", ""),
    ("Value error", "from the reference"), ("Gradient error", "from the reference"), ("Reason", "why it is not ranked"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    rows = rows_of(material, material.tables)
    values = {
        "lead": "Every implementation gets the same quantised inputs as the float64 reference. The number is the "
        "largest distance in units in the last place (ULP) of the output's type; 0.5 is a correctly rounded result.",
        "conditions": [of_session(material, one) for one in material.tables],
        "groups": by_dtype(
            chain(
                _maps(material, rows, "value_ulp", "Largest error of the value in ULP"),
                _maps(material, rows, "grad_ulp", "Largest error of the gradient in ULP"),
            )
        ),
        "note": "The worst over all sizes and modes; yellow is close, blue is far.",
        "empty": "No row has a measured agreement yet.",
        "table_of_wrong": _wrong(rows),
    }
    return [Page("agreement.html", "Agreement with the reference", "agreement.html", values)]


def _maps(material: Material, rows: pd.DataFrame, column: str, what: str) -> Iterator[tuple[str, Drawing]]:
    """Maps of the rows that agree; a disturbed row agrees as well as a quiet one."""
    return maps(material, rows, rows[column].where(rows["verdict"] == "ok"), heatmap.error, what)


def _wrong(rows: pd.DataFrame) -> Table | None:
    rows = rows[rows["status"].isin(["wrong", "impossible"])]
    if rows.empty:
        return None
    return Table(
        "Wrong, or faster than the machine allows; never ranked", WRONG, list(map(_cells, rows.to_dict("records")))
    )


def _cells(row: dict[Any, Any]) -> list[Cell]:
    return [
        Cell(row["loss"], link=file_name(row["loss"])),
        Cell(row["implementation"], chip=row["implementation"]),
        Cell(wording.shape(row["shape"]), sort=row["elements"]),
        Cell(row["dtype"]),
        Cell(row["mode"]),
        number(row["value_ulp"], wording.ulp),
        number(row["grad_ulp"], wording.ulp),
        Cell(first_line(row["reason"], 120) or str(row["status"])),
    ]
