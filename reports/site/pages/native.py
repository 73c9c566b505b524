"""`native` against `torch` and torch.compile: every case in one table, and geometric means."""

from __future__ import annotations

import pandas as pd

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.material import Material
from reports.site.pages import loss
from reports.site.view import Cell, Page, Table, number
from reports.statistics.answers import worst_error
from reports.statistics.comparison import ALTERNATIVES, Comparison, Means, comparisons, means, slower_words

MEANS = (
    ("Largest shapes", "the largest case of each loss"),
    ("torch takes", "geometric mean of torch's time over native's"),
    ("compiled takes", "the same for torch.compile of our vectorized form"),
    ("torch-compiled takes", "the same for torch.compile of torch's own function, or of the textbook formula"),
    ("Median share", "native's share of the ceiling, over the losses"),
    ("Least share", "native's smallest share of the ceiling, and its loss"),
)
CASES = (
    ("Loss", ""),
    ("Shape", "of the first tensor"),
    ("Dtype", "of the first tensor"),
    (
        "Mode",
        "forward: without gradient; step: forward and backward; reuse: a step where malloc keeps freed memory; "
        "graph: a step replayed as a CUDA graph",
    ),
    ("native", "median time per call"),
    ("torch", "median time per call, and its ratio to native's"),
    ("compiled", "torch.compile of our vectorized form: median time per call, and its ratio to native's"),
    ("torch-compiled", "torch.compile of torch's own function, or of the textbook formula"),
    ("Ceiling", "native's share of the bandwidth that the same process measured for a copy or a read"),
    ("native error", "largest relative error of value or gradient against the float64 reference"),
    ("torch error", "largest relative error of value or gradient against the float64 reference"),
)


def pages(material: Material) -> list[Page]:
    sections = []
    for setup in material.setups:
        rows = material.of_setup(setup)
        for device in ("cpu", "cuda"):
            cases = comparisons(rows[rows["device"] == device])
            if cases:
                sections.append({"conditions": conditions(material, rows), "device": device.upper(), **tables(cases)})
    return [Page("native.html", "native against torch and torch.compile", "native.html", {"sections": sections})]


def tables(cases: list[Comparison]) -> dict[str, object]:
    """Both tables, and the sentence on the cases in which native is slower."""
    slower = "; ".join(one.label for one in cases if one.slower)
    return {
        "means": Table("Geometric means over the losses", MEANS, [means_row(one) for one in means(cases)]),
        "cases": Table(f"All {len(cases)} cases", CASES, [case_row(one) for one in cases]),
        "slower": f"{slower_words(cases)}{': ' if slower else ''}{slower}.",
    }


def means_row(one: Means) -> list[Cell]:
    least = f"{wording.percent(one.shares[0])} ({one.least})" if one.shares else wording.NOTHING
    return [
        Cell(f"{one.dtype}, {one.mode}"),
        *(Cell(one.words(name)) for name in ALTERNATIVES),
        Cell(wording.percent(one.median_share)),
        Cell(least),
    ]


def case_row(one: Comparison) -> list[Cell]:
    native = one.native
    return [
        Cell(str(native["loss"]), link=loss.file_name(str(native["loss"]))),
        Cell(wording.shape(native["shape"]), sort=native["elements"]),
        Cell(str(native["dtype"])),
        Cell(str(native["mode"])),
        number(native["value"], wording.seconds, kind="" if one.slower else "first"),
        *(time_cell(one, name) for name in ALTERNATIVES),
        number(native["share"], wording.percent, bar=True),
        error_cell(native),
        error_cell(one.alternatives["torch"]) if "torch" in one.alternatives else Cell(wording.NOTHING),
    ]


def time_cell(one: Comparison, name: str) -> Cell:
    ratio = one.ratio(name)
    if ratio is None:
        return Cell(wording.NOTHING)
    return Cell(f"{wording.seconds(one.alternatives[name]['value'])} ({wording.times(ratio)})", sort=ratio)


def error_cell(row: pd.Series) -> Cell:
    return number(worst_error(row), wording.error)
