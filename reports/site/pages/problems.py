"""What in the record could not be read, by file and line, and what was left out because of it."""

from __future__ import annotations

from collections import Counter

from reports.site.material import Material
from reports.site.view import Cell, Page, Table

FILE = "data-problems.html"
MOST = 1_000  # lines of the table
PROBLEMS = (("Place", "file and line"), ("Problem", ""))


def pages(material: Material) -> list[Page]:
    found = material.problems
    machines = Counter(one.place.partition("/")[0] for one in found)
    rows = [[Cell(one.place, kind="long"), Cell(one.what, kind="long")] for one in found[:MOST]]
    values = {
        "total": len(found),
        "hidden": max(0, len(found) - MOST),
        "machines": machines.most_common(20),
        "problems_table": Table("Not read, or read in part", PROBLEMS, rows) if rows else None,
    }
    return [Page(FILE, "Data problems", "data-problems.html", values)]
