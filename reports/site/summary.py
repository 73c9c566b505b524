"""The results in the terminal: one line per loss, for `make report`."""

from __future__ import annotations

from collections import Counter

from lossimpl import wording
from reports.site.material import Material
from reports.statistics.answers import Answer, against, answers

HEADINGS = ("loss", "fastest", "time", "against", "ceiling", "device")


def summary(material: Material) -> str:
    """The fastest implementation of each loss by its newest measurement, as an aligned table with the counts below."""
    counts = Counter(material.rows["status"])
    if not counts:
        return "nothing measured yet: make report"
    lines = [HEADINGS, *(_line(one) for one in answers(material.rows))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, f"{len(material.rows)} rows: {_in_order(counts)}"])


def _in_order(counts: Counter[str]) -> str:
    order = ("ok", "wrong", "impossible", "error", "unavailable")
    return ", ".join(f"{counts[status]} {status}" for status in order if counts[status])


def _line(one: Answer) -> tuple[str, ...]:
    best = one.best
    if best is None:
        return (str(one.case["loss"]), "none correct", "", "", "", str(one.case["device"]))
    return (
        str(one.case["loss"]),
        wording.names(one.fastest),
        wording.seconds(best["value"]),
        against(one),
        wording.percent(best["share"]),
        str(one.case["device"]),
    )
