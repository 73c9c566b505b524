"""Distance from the float64 reference over losses and implementations, for the value and for the gradient."""

from __future__ import annotations

from itertools import chain

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.figures import heatmap
from reports.site.material import Material
from reports.site.pages.ceilings import by_dtype, maps
from reports.site.pages.loss import file_name
from reports.site.pages.rows import first_line
from reports.site.view import Cell, Page, Table, number

WRONG = (
    ("Loss", ""), ("Implementation", ""), ("Shape", "of the input"), ("Dtype", ""), ("Mode", ""),
    ("Value error", "from the reference"), ("Gradient error", "from the reference"), ("Reason", "why it is not ranked"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    values = {
        "lead": "Every implementation gets the same quantised inputs as the float64 reference. The number is the "
        "largest distance in units in the last place (ULP) of the output's type; 0.5 is a correctly rounded result.",
        "conditions": conditions(material, material.rows),
        "groups": by_dtype(
            chain(
                maps(material, "value_ulp", heatmap.error, "Largest error of the value in ULP"),
                maps(material, "grad_ulp", heatmap.error, "Largest error of the gradient in ULP"),
            )
        ),
        "note": "The worst over all sizes and modes; yellow is close, blue is far.",
        "empty": "No row has a measured agreement yet.",
        "table_of_wrong": _wrong(material),
    }
    return [Page("agreement.html", "Agreement with the reference", "agreement.html", values)]


def _wrong(material: Material) -> Table | None:
    rows = material.rows[material.rows["status"].isin(["wrong", "impossible"])]
    if rows.empty:
        return None
    cells = [
        [
            Cell(row["loss"], link=file_name(row["loss"])),
            Cell(row["implementation"], chip=row["implementation"]),
            Cell(wording.shape(row["shape"]), sort=row["elements"]),
            Cell(row["dtype"]),
            Cell(row["mode"]),
            number(row["value_ulp"], wording.ulp),
            number(row["grad_ulp"], wording.ulp),
            Cell(first_line(row["reason"], 120) or str(row["status"])),
        ]
        for _, row in rows.iterrows()
    ]
    return Table("Wrong, or faster than the machine allows; never ranked", WRONG, cells)
