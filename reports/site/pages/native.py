"""`native` against eager code and torch.compile: every case in one table, and the largest shapes over the losses."""

from __future__ import annotations

from lossimpl import wording
from reports.site.conditions import of_session
from reports.site.material import Material
from reports.site.pages import loss
from reports.site.view import Cell, Page, Table, number
from reports.statistics.answers import worst_error
from reports.statistics.comparison import (
    ALTERNATIVES,
    Comparison,
    Means,
    comparisons,
    count_words,
    dtype_and_mode,
    means,
    why_unranked,
)
from reports.statistics.ranking import Row, has_rank

MEANS = (
    ("Largest shapes", "the largest case of each loss"),
    ("Losses", "in which native was measured"),
    ("Best alternative", "time of each loss's fastest alternative over native's: geometric mean (least to most)"),
    ("eager", "the same for torch's own function, or our vectorized form where torch has none"),
    ("compiled", "the same for torch.compile of our vectorized form"),
    ("torch-compiled", "the same for torch.compile of torch's own function, or of the textbook formula"),
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
    ("native", "time per call"),
    ("Verdict", "against every alternative, by ratios that are paired within rounds"),
    ("eager", "torch's own function, or our vectorized form where torch has none: its time over native's"),
    ("compiled", "torch.compile of our vectorized form: its time over native's"),
    ("torch-compiled", "torch.compile of torch's own function, or of the textbook formula: its time over native's"),
    ("Ceiling", "native's share of the bandwidth that the same process measured for a copy or a read"),
    ("native error", "largest relative error of value or gradient against the float64 reference"),
    ("eager error", "largest relative error of value or gradient against the float64 reference"),
)


def pages(material: Material) -> list[Page]:
    sections = []
    for session in material.tables:
        for device in material.devices_of(session):
            cases = ordered(comparisons(material.rankings_of(session, device)))
            if cases and session.id:
                conditions = [of_session(material, session)]
                sections.append({"conditions": conditions, "device": device.upper(), **tables(cases)})
    return [Page("native.html", "native against torch and torch.compile", "native.html", {"sections": sections})]


def ordered(cases: list[Comparison]) -> list[Comparison]:
    """By dtype and mode in the order of pages, the largest shapes first, then by loss."""
    natives = [one.native for one in cases]
    keys = [(*dtype_and_mode(row["dtype"], row["mode"]), -float(row["elements"]), row["loss"]) for row in natives]
    return [one for _, one in sorted(zip(keys, cases, strict=True), key=lambda item: item[0])]


def tables(cases: list[Comparison]) -> dict[str, object]:
    """Both tables, and the sentence on how often native is fastest."""
    slower = "; ".join(one.label for one in cases if one.verdict == "slower")
    found = list(means(cases))
    return {
        "means": Table(
            "Time over native's at the largest shapes, over the losses", MEANS, [means_row(one) for one in found]
        )
        if found
        else None,
        "cases": Table(f"All {len(cases)} cases", CASES, [case_row(one) for one in cases]),
        "counts": count_words(cases),
        "slower": f"Slower: {slower}." if slower else "",
    }


def means_row(one: Means) -> list[Cell]:
    least = f"{wording.percent(one.shares[0])} ({one.least})" if one.shares else wording.NOTHING
    return [
        Cell(f"{one.dtype}, {one.mode}"),
        number(one.losses, wording.count),
        Cell(one.words()),
        *(Cell(one.words(name)) for name in ALTERNATIVES),
        Cell(wording.percent(one.median_share)),
        Cell(least),
    ]


def case_row(one: Comparison) -> list[Cell]:
    native, verdict = one.native, one.verdict if one.alternatives else "no alternative"
    return [
        Cell(str(native["loss"]), link=loss.file_name(str(native["loss"])), kind="" if has_rank(native) else "greyed"),
        Cell(wording.shape(native["shape"]), sort=native["elements"]),
        Cell(str(native["dtype"])),
        Cell(str(native["mode"])),
        number(native["value"], wording.seconds),
        Cell(verdict, kind={"fastest": "reading-shorter", "slower": "reading-longer"}.get(verdict, "muted")),
        *(ratio_cell(one, name) for name in ALTERNATIVES),
        number(native["share"], wording.percent, bar=True),
        error_cell(native),
        error_cell(one.eager),
    ]


def ratio_cell(one: Comparison, name: str) -> Cell:
    """An alternative's time over native's with its interval, or why there is none."""
    row = one.alternative(name)
    if row is None:
        return Cell(wording.NOTHING)
    claim = one.against(row)
    if claim is None:
        return Cell(why_unranked(row if has_rank(one.native) else one.native), kind="muted")
    whose = f" {row['implementation']}" if row["implementation"] not in (name, "torch") else ""
    return Cell(f"{wording.times_interval(*claim.ratio)}{whose}", sort=claim.ratio.value)


def error_cell(row: Row | None) -> Cell:
    return number(worst_error(row), wording.error) if row is not None else Cell(wording.NOTHING)
