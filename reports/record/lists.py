"""Lists of JSON lines in docs/, which commands wrote: the mutants, the ways of calling, and the claims.

A line that its table does not allow costs only itself.
"""

from __future__ import annotations

from pathlib import Path

from lossimpl import files
from reports.record.formats import Record, parsed, require, require_fields
from reports.record.kinds import ANY, COUNT, FLAG, NAMED, NUMBER, OBJECTS, SIZE, TEXT, TEXTS, WORKS
from reports.record.reader import BROKEN, plain
from reports.record.schema import Field, Fields
from reports.record.units import Problem

DOCS = Path(__file__).parents[2] / "docs"
MUTANTS, WAYS, CLAIMS = DOCS / "mutants.jsonl", DOCS / "ways.jsonl", DOCS / "claims.jsonl"
MUTANT: Fields = {
    "loss": Field(NAMED, "the loss", True),
    "mutant": Field(TEXT, "what it does wrong", True),
    "by": Field(TEXT, "the check that rejected it; empty if none did", True),
    "reason": Field(TEXT, "what the check said", True),
}
WAY: Fields = {
    "way": Field(TEXT, "how the loss was called", True),
    "loss": Field(NAMED, "the loss", True),
    "implementation": Field(NAMED, "the implementation", True),
    "passed": Field(COUNT, "hard cases that hold", True),
    "failed": Field(COUNT, "hard cases that do not", True),
    "refused": Field(COUNT, "hard cases that are refused by name", True),
    "inapplicable": Field(COUNT, "hard cases that torch's own function loses too", True),
    "reasons": Field(TEXTS, "why some do not hold", True),
    "torch": Field(TEXT, "its version", True),
    "status": Field(WORKS, "of all of them", True),
}
CLAIM: Fields = {
    "claim": Field(NAMED, "its name", True),
    "statement": Field(TEXT, "what is claimed", True),
    "source": Field(TEXT, "who claims it, and when", True),
    "url": Field(TEXT, "where", True),
    "seed": Field(COUNT, "of the numbers", True),
    "verdict": Field(TEXT, "of that seed", True),
    "condition": Field(TEXT, "when it holds; empty if it always does, or never", True),
    "verdicts": Field(TEXTS, "of all seeds", True),
    "findings": Field(OBJECTS, "what each criterion found (table below)", True),
    "x": Field(TEXT, "the label of the figure's horizontal axis", True),
    "y": Field(TEXT, "the label of its vertical axis", True),
    "log_x": Field(FLAG, "whether the horizontal axis is logarithmic", True),
    "log_y": Field(FLAG, "whether the vertical axis is", True),
    "points": Field(OBJECTS, "`series`, `x`, `y`, and the ends of an interval or null, `low` and `high`", True),
    "digest": Field(TEXT, "of all numbers that are not read from a clock", True),
    "seconds": Field(SIZE, "the experiment took", True),
    "torch": Field(TEXT, "its version", True),
}
FINDING: Fields = {
    "criterion": Field(NAMED, "its name", True),
    "what": Field(TEXT, "the quantity", True),
    "required": Field(TEXT, "its range", True),
    "only_when": Field(TEXT, "the condition that the claim gets if it is not met; empty if it then fails", True),
    "timed": Field(FLAG, "whether it is read from a clock", True),
    "repetitions": Field(COUNT, "of the experiment", True),
    "value": Field(NUMBER, "the mean over them", True),
    "low": Field(NUMBER, "lower end of its interval", True),
    "high": Field(NUMBER, "upper end of its interval", True),
    "met": Field(ANY, "true, false, or null where the interval does not decide"),
}
FIELDS = {MUTANTS.name: MUTANT, WAYS.name: WAY, CLAIMS.name: CLAIM}


def listed(path: Path) -> tuple[list[Record], list[Problem]]:
    """The records of a list, none where there is no file, and what of it could not be read."""
    found, problems = [], []
    try:
        lines = files.lines(path) if path.exists() else []
    except BROKEN as error:
        return [], [Problem(f"docs/{path.name}", plain(error))]
    for number, line in enumerate(lines, start=1):
        try:
            found += [_record(path.name, line)] if line.strip() else []
        except BROKEN as error:
            problems.append(Problem(f"docs/{path.name} line {number}", plain(error)))
    return found, problems


def _record(name: str, line: bytes) -> Record:
    held = parsed(line)
    require(isinstance(held, dict), f"is {type(held).__name__}, expected a JSON object")
    require_fields(held, FIELDS[name])
    for finding in held.get("findings", []):
        require_fields(finding, FINDING, "findings: ")
    return dict(held)
