"""Textbook claims as experiments, from what `lossimpl claims` stored: statement, figure, verdict, code, command."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lossimpl
from lossimpl import wording
from lossimpl.claims.support.verdict import LIMITED, VERDICTS
from reports.record.schema import Record
from reports.site.figures.claims import claim as figure
from reports.site.material import Material
from reports.site.view import Cell, Page, Table, drawing

COMMAND = "lossimpl claims --seed 2026 --seeds 3 --json docs/claims.jsonl"
SOURCES = Path(lossimpl.__file__).parent / "claims"
CRITERIA = (
    ("Quantity", ""),
    ("Measured", f"mean over repetitions with its {wording.INTERVAL}; exact where there is one"),
    ("Required", "settled on seed 0"),
    ("Met", ""),
)
SPELLED = {"huber": "Huber", "l1": "L1", "mse": "MSE"}
MET = {True: "met", False: "not met", None: "undecided"}


def pages(material: Material) -> list[Page]:
    found = material.claims
    sections = list(map(_section, found))
    values = {"claims": sections, "groups": list(_groups(sections)), "command": COMMAND}
    files = {f"data/claim-{one['claim']}.csv": points_csv(one) for one in found}
    return [Page("claims.html", "Textbook claims, tested", "claims.html", values, files)]


def counts(found: list[Record]) -> str:
    """How many claims have each verdict, in words.

    >>> counts([{"verdict": "inconclusive"}, {"verdict": "holds"}, {"verdict": "holds"}])
    'Holds: 2, inconclusive: 1'
    """
    held = Counter(one["verdict"] for one in found)
    return sentence(", ".join(f"{short(verdict)}: {held[verdict]}" for verdict in VERDICTS if held[verdict]))


def short(verdict: str) -> str:
    """A verdict without its condition."""
    return "holds under a condition" if verdict == LIMITED else verdict


def sentence(text: str) -> str:
    """With a capital letter, and the others as they are.

    >>> sentence("area under the ROC curve")
    'Area under the ROC curve'
    """
    return text[:1].upper() + text[1:]


def title(name: str) -> str:
    """A claim's name as a heading.

    >>> title("cross_entropy_or_mse")
    'Cross entropy or MSE'
    """
    return sentence(" ".join(SPELLED.get(word, word) for word in name.split("_")))


def words(one: Record) -> str:
    """The verdict with its condition.

    >>> words({"verdict": "holds only when", "condition": "it rains"})
    'holds only when it rains'
    """
    return f"{one['verdict']} {one['condition']}".rstrip()


def stability(one: Record) -> str:
    """How many seeds have the verdict of the first, and under the same condition.

    >>> stability({"verdict": "holds", "condition": "", "verdicts": ["holds", "holds", "holds only when it rains"]})
    '2 of 3 seeds'
    """
    return f"{one['verdicts'].count(words(one))} of {len(one['verdicts'])} seeds"


def _groups(sections: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The sections of each verdict."""
    for verdict in VERDICTS:
        if held := [one for one in sections if one["record"]["verdict"] == verdict]:
            yield sentence(short(verdict)), held


def _section(one: Record) -> dict[str, Any]:
    caption = f"{sentence(one['y'])}, seed {one['seed']}."
    path = SOURCES / f"{one['claim']}.py"
    return {
        "record": one,
        "title": title(one["claim"]),
        "words": words(one),
        "stability": stability(one),
        "figure": drawing(caption, ("claim", one["claim"]), figure, one),
        "table": Table(f"Criteria of {one['claim']}", CRITERIA, [_row(finding) for finding in one["findings"]]),
        "code": path.read_text(encoding="utf-8") if path.exists() else "",
        "csv": f"data/claim-{one['claim']}.csv",
    }


def _row(finding: Record) -> list[Cell]:
    kind = "fail" if finding["met"] is False else ""
    return [
        Cell(finding["what"], kind="long"),
        Cell(effect(finding)),
        Cell(finding["required"]),
        Cell(MET[finding["met"]], kind=kind),
    ]


def effect(finding: Record) -> str:
    """The effect size with its interval; an exact number has none.

    >>> effect({"value": 2.0, "low": 1.5, "high": 2.5, "repetitions": 9})
    '2.00 (1.50 to 2.50)'
    """
    value, low, high = (wording.digits(finding[name]) for name in ("value", "low", "high"))
    return value if finding["repetitions"] == 1 else f"{value} ({low} to {high})"


def points_csv(one: Record) -> str:
    """The numbers of a claim's figure."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["series", "x", "y", "low", "high"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(one["points"])
    return buffer.getvalue()


def markdown(found: list[Record]) -> Iterator[str]:
    """README's paragraphs: the counts, and one line per claim."""
    yield f"Written by `python -m reports readme` from what `{COMMAND}` stored. {counts(found)}."
    yield "\n".join(f"- **{one['claim']}**: {one['statement']} *{words(one)}* ({stability(one)})." for one in found)
