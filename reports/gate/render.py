"""An outcome for people: Markdown for a comment on a pull request, and a page that shows every process of every row."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from reports.gate.outcome import Outcome, RowOutcome
from reports.gate.reasons import TEXTS

HERE = Path(__file__).parent
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
NOISE_KNOWN = 8  # pairs; fewer say little about a row's noise
ORDER = ("slower", "inconclusive", "faster", "same")
WIDTH, HEIGHT, MARGIN = 360, 44, 6  # of a drawing, in pixels


def duration(seconds: float) -> str:
    """A time with a unit that leaves digits before the point.

    >>> duration(1.234e-5), duration(2.5)
    ('12.3 µs', '2.5 s')
    """
    factor, unit = next(((one, name) for one, name in UNITS if abs(seconds) >= one), UNITS[-1])
    return f"{seconds / factor:.3g} {unit}"


def percent(ratio: float) -> str:
    """A ratio as a change.

    >>> percent(1.234), percent(math.inf)
    ('+23.4 %', 'unknown')
    """
    return f"{ratio - 1:+.1%}".replace("%", " %") if math.isfinite(ratio) else "unknown"


def interval(row: RowOutcome) -> str:
    """The ends of a row's interval as changes, or why there is none."""
    return f"{percent(row.low)} … {percent(row.high)}" if math.isfinite(row.high) else "too few pairs"


def needs(row: RowOutcome) -> str:
    """How many more pairs an undecided row takes to show a change of the threshold, where its noise is known."""
    if row.verdict != "inconclusive" or row.pairs < NOISE_KNOWN or row.pairs_needed <= row.pairs:
        return ""
    return f"needs {row.pairs_needed - row.pairs} more pairs"


def notes(row: RowOutcome) -> list[str]:
    """What else is to be said of a row: other changes, what stood in its way, what it needs."""
    said = [*(change.text for change in row.changes), *(TEXTS[code] for code in row.reasons), needs(row)]
    return [one for one in said if one]


def headline(outcome: Outcome) -> str:
    """One sentence: how many rows regressed, improved, stayed, are undecided, could not be measured."""
    counts = {verdict: sum(row.verdict == verdict for row in outcome.rows) for verdict in ORDER}
    words = [f"{number} {verdict}" for verdict, number in counts.items() if number]
    worse = sum(any(change.worse for change in row.changes) for row in outcome.rows)
    words += [f"{worse} worse in agreement, memory or instructions"] if worse else []
    words += [f"{len(outcome.faults)} not measured"] if outcome.faults else []
    words += [f"{len(outcome.left_out)} beyond the budget"] if outcome.left_out else []
    return ", ".join(words) or "nothing to measure: no benchmark is in reach of this change"


def ordered(outcome: Outcome) -> list[RowOutcome]:
    """Regressions first, then by verdict, the largest change first."""

    def place(row: RowOutcome) -> tuple[bool, int, float]:
        size = abs(math.log(row.ratio)) if math.isfinite(row.ratio) else 0.0
        return not row.regressed, ORDER.index(row.verdict), -size

    return sorted(outcome.rows, key=place)


def explanation(row: RowOutcome) -> list[str]:
    """Where the time went, as sentences: parts that grew, then the operators that changed most."""
    if not row.why:
        return []
    grew = sorted(row.why["parts"], key=lambda part: part["base"] - part["head"])
    lines = [
        f"{part['part']}: {duration(part['base'])} -> {duration(part['head'])}"
        for part in grew
        if part["head"] - part["base"] > 0.02 * sum(one["base"] for one in grew)
    ]
    return lines + [
        f"{move['operator']}: {duration(move['seconds'])} more, {move['calls']:+.3g} calls, {move['bytes']:+,.0f} bytes"
        for move in row.why["operators"]
        if move["seconds"] > 0
    ]


def markdown(outcome: Outcome) -> str:
    """The comment for a pull request."""
    return _environment().get_template("comment.md").render(_view(outcome)).strip() + "\n"


def page(outcome: Outcome) -> str:
    """One HTML file that needs nothing beside it."""
    return _environment().get_template("page.html").render(_view(outcome))


def _environment() -> jinja2.Environment:
    """Escapes in HTML; the comment is Markdown, where a row's name stands in code quotes."""
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
        "percent": percent,
        "duration": duration,
        "interval": interval,
        "notes": notes,
        "explanation": explanation,
        "drawing": drawing,
    }


def drawing(row: RowOutcome) -> list[dict[str, float | str]]:
    """The dots of a row's processes on a logarithmic axis: base above, head below; positions in pixels."""
    every = [*row.base_seconds, *row.head_seconds]
    if not every:
        return []
    low, high = math.log(min(every)), math.log(max(every))
    scale = (WIDTH - 2 * MARGIN) / max(high - low, 1e-6)
    return [
        {"x": MARGIN + (math.log(value) - low) * scale, "y": y, "side": side, "text": duration(value)}
        for side, y, values in (("base", 14, row.base_seconds), ("head", 32, row.head_seconds))
        for value in values
    ]
