"""The first page: which implementation to run, loss by loss."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.site.conditions import of_session
from reports.site.figures.overview import overview
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.pages import conformance, health, loading, reproducibility
from reports.site.pages.loss import file_name
from reports.site.view import Cell, Drawing, Page, Table, drawing, number
from reports.statistics.answers import Answer, answers, smallest, worst_error
from reports.statistics.comparison import comparisons, count_words
from reports.statistics.ranking import Row
from reports.statistics.sessions import MOST, Session

STATUSES = ("ok", "disturbed", "wrong", "impossible", "error", "unavailable")
SMALL = (
    ("Loss", ""),
    ("Case", "shape of the input, dtype and mode"),
    ("Fastest", "several if statistically tied"),
    ("Time", f"per call, over the rounds of the session, with its {wording.INTERVAL}"),
    ("Best alternative", "native against what one could run instead, paired within rounds"),
)


def pages(material: Material) -> list[Page]:
    shown = [(one, device) for one in material.current for device in material.devices_of(one)]
    values = {
        "sections": [_section(material, session, device) for session, device in shown],
        "statuses": STATUSES,
        "loss_files": [(name, file_name(name)) for name in material.loss_names],
        "heard": health.heard(material),
        "loading": loading.answers(material),
        "conformance": conformance.totals(material),
        "problems": material.problems,
    }
    return [Page("index.html", "Which loss implementation should I run here?", "index.html", values)]


def _section(material: Material, session: Session, device: str) -> dict[str, Any]:
    found = material.rankings_of(session, device)
    rows = material.rows_of(session)
    section = {
        "conditions": [of_session(material, session)],
        "device": f"{device.upper()} of {session.machine}" if len(material.current) > 1 else device.upper(),
        "decides": session.decides,
        "few": session.decided < MOST,
        "newer": _newer(material, session),
        "old": not session.id,
        "counts": Counter(rows.loc[rows["device"] == device, "status"]),
        "reproducibility": reproducibility.coverage_words(material.results.sweep_tests.get(session.machine, {})),
    }
    if not session.decides:
        return section
    answered = sorted(answers(found), key=lambda one: material.loss_names.index(one.case.case["loss"]))
    small = [one for one in smallest(found) if all(one.case is not other.case for other in answered)]
    small.sort(key=lambda one: material.loss_names.index(one.case.case["loss"]))
    cells = [_small_row(one) for one in small] if any(map(_says, small)) else []
    return section | {
        "verdict": count_words((one.comparison for one in answered if one.comparison), "losses"),
        "all_cases": count_words(comparisons(found)),
        "cards": [_card(one) for one in answered if _says(one)],
        "undecided": [_undecided(one) for one in answered if not _says(one)],
        "figure": _overview(answered, device, *session.setup),
        "names": in_order({row["implementation"] for one in answered for row in _shares(one)}),
        "small": Table("Small inputs, where overhead dominates", SMALL, cells) if cells else None,
    }


def _newer(material: Material, session: Session) -> int:
    """How many sessions of the same machine and environment are newer, and not shown since they decide too little."""
    place = material.sessions.index(session)
    return sum(one.setup == session.setup and one not in material.shown for one in material.sessions[:place])


def _says(one: Answer) -> bool:
    """Whether there is an answer, or at least a ratio."""
    return not one.undecided or bool(one.claim or one.eager_claim)


def _undecided(one: Answer) -> tuple[str, str, str]:
    """The loss, its page, and why nothing can be said of it."""
    loss = str(one.case.case["loss"])
    return loss, file_name(loss), one.against


def _card(one: Answer) -> dict[str, Any]:
    best, case = one.best, one.case.case
    card: dict[str, Any] = {
        "loss": case["loss"],
        "file": file_name(case["loss"]),
        "case": f"{wording.shape(case['shape'])} · {case['dtype']} · {case['mode']}",
        "fastest": () if one.undecided else one.case.fastest,
        "lines": list(_lines(one)),
        "excluded": [f"{row['implementation']} ({row['status']})" for row in one.case.rows if _failed(row)],
    }
    if best is None:
        return card
    return card | {
        "time": wording.seconds(best["value"]),
        "interval": wording.interval(best["value"], best["low"], best["high"]),
        "share": best["share"] if wording.known(best["share"]) else None,
        "ceiling": f"{wording.percent(best['share'])} of the {best['ceiling_name']} ceiling",
        "error": f"{wording.error(worst_error(best))} relative" if wording.known(best["value_max_rel"]) else "–",
    }


def _lines(one: Answer) -> list[tuple[str, str]]:
    """What native is compared with, and the comparison in words: the best alternative first, then eager code."""
    same = one.case.case["mode"] == "reuse"
    lines = [("Best alternative, same allocator" if same else "Best alternative", one.against)]
    again = one.claim and one.eager_claim and one.claim.other is one.eager_claim.other
    if one.against_eager and not again:
        shape = one.as_run.native["shape"] if one.as_run else ""
        elsewhere = f", {wording.shape(shape)}" if shape != one.case.case["shape"] else ""
        lines.append((f"As people run it{elsewhere}", one.against_eager))
    return lines


def _failed(row: Row) -> bool:
    return row["status"] in ("wrong", "impossible", "error")


def _shares(one: Answer) -> list[Row]:
    """The ranked rows with a share of the ceiling."""
    return [row for row in one.case.ranked if wording.known(row["share"])]


def _overview(found: list[Answer], *name: str) -> Drawing | None:
    correct = [row for one in found for row in _shares(one)]
    if not correct:
        return None
    caption = (
        "The share of this machine's memory bandwidth that each implementation reaches, in the case named on its card, "
        f"with {wording.INTERVAL}s. Each round measures its own limit, so a few percent above 100 are noise."
    )
    return drawing(caption, ("overview", *name), overview, pd.DataFrame(correct))


def _small_row(one: Answer) -> list[Cell]:
    best, case = one.best, one.case.case
    words = f"{wording.shape(case['shape'])} {case['dtype']} {case['mode']}"
    cells = [Cell(case["loss"], link=file_name(case["loss"])), Cell(words, sort=float(case["elements"]))]
    if best is None or one.undecided:
        return [*cells, Cell("undecided", kind="muted"), Cell(wording.NOTHING), Cell(one.against, kind="muted")]
    alone = one.case.fastest[0] if len(one.case.fastest) == 1 else None
    interval = wording.interval(best["value"], best["low"], best["high"])
    return [
        *cells,
        Cell(wording.names(one.case.fastest), chip=alone),
        number(best["value"], lambda value: f"{wording.seconds(value)} ({interval})"),
        Cell(one.against, sort=one.claim.ratio.value if one.claim else None),
    ]
