"""`native` against `torch` and torch.compile: every case in one table, and its short."""

from __future__ import annotations

from lossimpl import wording
from reports.site.conditions import conditions
from reports.site.material import Material
from reports.site.pages import loss
from reports.site.view import Cell, Page, Table
from reports.statistics.answers import worst_error
from reports.statistics.comparison import RIVALS, Contest, Score, contests, scores, slower_words

SCORES = (
    ("Largest shapes", "the largest case of each loss"),
    ("torch takes", "geometric mean of torch's time over native's"),
    ("compiled takes", "geometric mean of the compiled vectorized form's time over native's"),
    ("torch-compiled takes", "the same of torch.compile over torch's own function, or the textbook's formula"),
    ("Median share", "of the ceiling, native, over the losses"),
    ("Least share", "of the ceiling, native, and the loss that has it"),
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
    ("native", "median time of a call"),
    ("torch", "median time of a call, and how many times native's"),
    ("compiled", "torch.compile of our vectorized form: median time of a call, and how many times native's"),
    ("torch-compiled", "torch.compile of torch's own function, or of the textbook's formula"),
    ("Ceiling", "share of the bandwidth that the same process measured for a copy or a read"),
    ("native error", "largest relative error of value or gradient against the float64 oracle"),
    ("torch error", "largest relative error of value or gradient against the float64 oracle"),
)


def pages(material: Material) -> list[Page]:
    sections = []
    for setup in material.setups:
        rows = material.of_setup(setup)
        for device in ("cpu", "cuda"):
            cases = contests(rows[rows["device"] == device])
            if cases:
                sections.append({"conditions": conditions(material, rows), "device": device.upper(), **tables(cases)})
    return [Page("native.html", "native against torch and torch.compile", "native.html", {"sections": sections})]


def tables(cases: list[Contest]) -> dict[str, object]:
    """The two tables, and the sentence on the cases that native loses."""
    slower = [one.label for one in cases if one.slower]
    count = slower_words(cases)
    return {
        "scores": Table("Geometric means over the losses", SCORES, [score_row(one) for one in scores(cases)]),
        "cases": Table(f"All {len(cases)} cases", CASES, [case_row(one) for one in cases]),
        "slower": f"{count}: {'; '.join(slower)}." if slower else f"{count}.",
    }


def score_row(one: Score) -> list[Cell]:
    least = f"{wording.percent(one.shares[0])} ({one.least})" if one.shares else wording.NOTHING
    return [
        Cell(f"{one.dtype}, {one.mode}"),
        *(Cell(one.gain(rival)) for rival in RIVALS),
        Cell(wording.percent(one.middle)),
        Cell(least),
    ]


def case_row(one: Contest) -> list[Cell]:
    native = one.native
    share = float(native["share"]) if wording.known(native["share"]) else None
    return [
        Cell(str(native["loss"]), link=loss.file_name(str(native["loss"]))),
        Cell(wording.shape(native["shape"]), sort=native["elements"]),
        Cell(str(native["dtype"])),
        Cell(str(native["mode"])),
        Cell(wording.seconds(native["value"]), sort=native["value"], kind="" if one.slower else "first"),
        *(rival_cell(one, rival) for rival in RIVALS),
        Cell(wording.percent(native["share"]), sort=share, bar=share),
        Cell(f"{worst_error(native):.1e}", sort=worst_error(native)),
        error_cell(one),
    ]


def rival_cell(one: Contest, rival: str) -> Cell:
    ratio = one.ratio(rival)
    if ratio is None:
        return Cell("–")
    return Cell(f"{wording.seconds(one.rivals[rival]['value'])} ({ratio:.1f}x)", sort=ratio)


def error_cell(one: Contest) -> Cell:
    if "torch" not in one.rivals:
        return Cell("–")
    error = worst_error(one.rivals["torch"])
    return Cell(f"{error:.1e}", sort=error)
