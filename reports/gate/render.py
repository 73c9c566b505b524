"""An outcome as Markdown for the comment on a pull request, and as a page with every process of every row."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from lossimpl import wording
from reports.gate.outcome import Outcome, RowOutcome
from reports.gate.reasons import TEXTS

HERE = Path(__file__).parent
NOISE_KNOWN = 8  # pairs; with fewer, a row's noise is hardly known
ORDER = ("slower", "inconclusive", "faster", "same")
WIDTH, HEIGHT, MARGIN = 360, 44, 6  # of a drawing, in pixels


def interval(row: RowOutcome) -> str:
    """The ends of a row's interval as changes, or why it has none."""
    return f"{wording.change(row.low)} to {wording.change(row.high)}" if math.isfinite(row.high) else "too few pairs"


def needs(row: RowOutcome) -> str:
    """How many more pairs an undecided row needs to show a change of the threshold, if its noise is known."""
    if row.verdict != "inconclusive" or row.pairs < NOISE_KNOWN or row.pairs_needed <= row.pairs:
        return ""
    return f"needs {row.pairs_needed - row.pairs} more pairs"


def notes(row: RowOutcome) -> list[str]:
    """Further remarks on a row: other changes, what prevented a verdict, what it needs."""
    found = [*(change.text for change in row.changes), *(TEXTS[code] for code in row.reasons), needs(row)]
    return [one for one in found if one]


def headline(outcome: Outcome) -> str:
    """How many rows have which verdict, and how many could not be measured."""
    counts = {verdict: sum(row.verdict == verdict for row in outcome.rows) for verdict in ORDER}
    words = [f"{number} {verdict}" for verdict, number in counts.items() if number]
    worse = sum(any(change.worse for change in row.changes) for row in outcome.rows)
    words += [f"{worse} worse in agreement, memory or instructions"] if worse else []
    words += [f"{len(outcome.faults)} not measured"] if outcome.faults else []
    words += [f"{len(outcome.left_out)} beyond the budget"] if outcome.left_out else []
    return ", ".join(words) or "nothing to measure: this change affects no benchmark"


def ordered(outcome: Outcome) -> list[RowOutcome]:
    """Regressions first, then by verdict, then the largest change first."""

    def place(row: RowOutcome) -> tuple[bool, int, float]:
        size = abs(math.log(row.ratio)) if math.isfinite(row.ratio) else 0.0
        return not row.regressed, ORDER.index(row.verdict), -size

    return sorted(outcome.rows, key=place)


def explanation(row: RowOutcome) -> list[str]:
    """Where the time is spent: the parts that grew, then the operators that changed most."""
    if not row.why:
        return []
    grew = sorted(row.why["parts"], key=lambda part: part["base"] - part["head"])
    lines = [
        f"{part['part']}: {wording.seconds(part['base'])} -> {wording.seconds(part['head'])}"
        for part in grew
        if part["head"] - part["base"] > 0.02 * sum(one["base"] for one in grew)
    ]
    return lines + [
        f"{move['operator']}: {wording.seconds(move['seconds'])} more, "
        f"{move['calls']:+.3g} calls, {move['bytes']:+,.0f} bytes"
        for move in row.why["operators"]
        if move["seconds"] > 0
    ]


def markdown(outcome: Outcome) -> str:
    """The comment for a pull request."""
    return _environment().get_template("comment.md").render(_view(outcome)).strip() + "\n"


def page(outcome: Outcome) -> str:
    """One HTML file without dependencies."""
    return _environment().get_template("page.html").render(_view(outcome))


def _environment() -> jinja2.Environment:
    """Escapes in HTML; in the Markdown comment, the names of rows are in code quotes."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _view(outcome: Outcome) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "headline": headline(outcome),
        "rows": ordered(outcome),
        "left_out": Counter(name.partition("(")[0] for name in outcome.left_out),
        "w": wording,
        "interval": interval,
        "notes": notes,
        "explanation": explanation,
        "drawing": drawing,
    }


def drawing(row: RowOutcome) -> list[dict[str, float | str]]:
    """The processes of a row as dots on a logarithmic axis, base above head; positions in pixels."""
    every = [*row.base_seconds, *row.head_seconds]
    if not every:
        return []
    low, high = math.log(min(every)), math.log(max(every))
    scale = (WIDTH - 2 * MARGIN) / max(high - low, 1e-6)
    return [
        {"x": MARGIN + (math.log(value) - low) * scale, "y": y, "side": side, "text": wording.seconds(value)}
        for side, y, values in (("base", 14, row.base_seconds), ("head", 32, row.head_seconds))
        for value in values
    ]
