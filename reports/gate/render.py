"""An outcome as Markdown for the comment on a pull request, and as a page with every process of every row."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jinja2

from lossimpl import wording
from reports.gate.outcome import FINE, REGRESSION, UNDECIDED, UNMEASURED, Outcome, RowOutcome
from reports.gate.reasons import TEXTS
from reports.record.rows import Row

HERE = Path(__file__).parent
MOST_LINES, MOST_NAME = 12, 100  # of a hunk, and characters of a function's name
NOISE_KNOWN = 8  # pairs; with fewer, a row's noise is hardly known
ORDER = ("slower", "inconclusive", "faster", "same")
WIDTH, HEIGHT, MARGIN = 360, 44, 6  # of a drawing, in pixels


def interval(row: RowOutcome) -> str:
    """The ends of a row's interval as changes, or why it has none."""
    return f"{wording.change(row.low)} to {wording.change(row.high)}" if math.isfinite(row.high) else "too few pairs"


def words(row: RowOutcome) -> str:
    """The row as people read it: `mse_loss native 32x10 float32 cpu step`."""
    return Row(row.benchmark, row.params).words


def verdict(row: RowOutcome) -> str:
    """The verdict in Markdown; a row that takes as long as before may have become worse in another respect."""
    if not row.regressed:
        return row.verdict
    return {"slower": "**slower**", "faster": "**worse**, faster"}.get(row.verdict, "**worse**")


def unbroken(text: str) -> str:
    """A text whose numbers stay on one line with their units."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def needs(row: RowOutcome) -> str:
    """How many more pairs an undecided row needs to show a change of the threshold, if its noise is known."""
    if row.verdict != "inconclusive" or row.pairs < NOISE_KNOWN or row.pairs_needed <= row.pairs:
        return ""
    return f"needs {row.pairs_needed - row.pairs} more pairs"


def notes(row: RowOutcome) -> list[str]:
    """Further remarks on a row: other changes, by what it was decided or what prevented that, what it needs."""
    by = f"by {row.decided}" if row.decided else ""
    found = [*(change.text for change in row.changes), by, *(TEXTS[code] for code in row.reasons), needs(row)]
    return [one for one in found if one]


RESULTS = {
    FINE: "no regression: everything in reach was decided",
    REGRESSION: "regression",
    UNMEASURED: "not measured completely",
    UNDECIDED: "undecided",
}


def headline(outcome: Outcome) -> str:
    """The result in words, then how many rows have which verdict."""
    if not outcome.groups and outcome.exit_code == FINE:
        return "no regression: the change reaches no benchmark"
    counts = {verdict: sum(row.verdict == verdict for row in outcome.rows) for verdict in ORDER}
    words = [f"{number} {verdict}" for verdict, number in counts.items() if number]
    worse = sum(any(change.worse for change in row.changes) for row in outcome.rows)
    words += [f"{worse} worse in agreement, memory or instructions"] if worse else []
    return f"{RESULTS[outcome.exit_code]}{' (' + ', '.join(words) + ')' if words else ''}"


def coverage(outcome: Outcome) -> str:
    """How many groups are decided, by what, and how many are not."""
    if not outcome.groups:
        return ""
    by = Counter(group.decided for group in outcome.groups if group.decided)
    parts = ", ".join(f"{number} by {how}" for how, number in by.most_common())
    decided = sum(by.values())
    text = f"Coverage {math.floor(100 * outcome.coverage)} %: {decided} of {len(outcome.groups)} groups of rows decided"
    text += f" ({parts})" if parts else ""
    text += f"; {len(outcome.undecided)} undecided" if outcome.undecided else ""
    return text + (f"; {len(outcome.missing)} not measured" if outcome.missing else "") + "."


def missing(outcome: Outcome) -> list[str]:
    """The groups that were not measured, counted by what they have in common; the table of groups names each."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for group in outcome.missing:
        found[group.name.partition(",")[0], group.missing].append(group.rows)
    return [
        f"{name}: {len(rows)} group{'s' if len(rows) > 1 else ''} ({sum(rows)} rows) {why}"
        for (name, why), rows in found.items()
    ]


def ordered(outcome: Outcome) -> list[RowOutcome]:
    """The gravest regressions first, then by verdict, then the largest change first."""

    def place(row: RowOutcome) -> tuple[int, int, float]:
        size = abs(math.log(row.ratio)) if math.isfinite(row.ratio) else 0.0
        return row.rank, ORDER.index(row.verdict), -size

    return sorted(outcome.rows, key=place)


def shown(outcome: Outcome) -> list[RowOutcome]:
    """The rows of the comment's table: those that changed or are undecided; those that are the same are counted."""
    return [row for row in ordered(outcome) if row.changes or row.verdict != "same"]


def explanation(row: RowOutcome) -> list[str]:
    """Where the time is spent: the parts that grew, then the operators and functions that changed most."""
    grew = sorted(row.why.get("parts", ()), key=lambda part: part["base"] - part["head"])
    lines = [
        f"{part['part']}: {wording.seconds(part['base'])} -> {wording.seconds(part['head'])}"
        for part in grew
        if part["head"] - part["base"] > 0.02 * sum(one["base"] for one in grew)
    ]
    lines += [
        f"{move['operator']}: {wording.seconds(move['seconds'])} more, "
        f"{move['calls']:+.3g} calls, {move['bytes']:+,.0f} bytes"
        for move in row.why.get("operators", ())
        if move["seconds"] > 0
    ]
    return lines + [
        f"instructions of `{one['function'][:MOST_NAME]}`: "
        f"{wording.count(one['base'])} -> {wording.count(one['head'])} per call"
        for one in row.why.get("functions", ())
    ]


def hunks(row: RowOutcome) -> list[tuple[str, str]]:
    """The path and the first lines of each hunk that most likely causes a change."""
    found = (text.partition("\n") for text in row.why.get("hunks", ()))
    return [(path, "\n".join(text.splitlines()[:MOST_LINES])) for path, _, text in found]


def replay(outcome: Outcome) -> str:
    """The command that repeats the comparison."""
    sides = {"BASE_WITH": outcome.base_with, "HEAD_WITH": outcome.head_with}
    environments = "".join(f' {name}="{one}"' for name, one in sides.items() if one)
    return f"make gate BASE={outcome.base[:8]} HEAD={outcome.head[:8]}{environments}"


def sides(outcome: Outcome) -> list[str]:
    """Each side in words: its commit, and what its environment has of its own."""
    both = ((outcome.base, outcome.base_with), (outcome.head, outcome.head_with))
    return [f"`{commit[:8]}`" + (f" with `{one}`" if one else "") for commit, one in both]


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
        "shown": shown(outcome),
        "coverage": coverage(outcome),
        "missing": missing(outcome),
        "hunks": hunks,
        "replay": replay(outcome),
        "sides": sides(outcome),
        "w": wording,
        "interval": interval,
        "words": words,
        "verdict": verdict,
        "unbroken": unbroken,
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
