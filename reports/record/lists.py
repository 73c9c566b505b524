"""Lists of JSON lines in docs/, which commands wrote: the mutants, and the ways of calling.

A line that its table does not allow costs only itself.
"""

from __future__ import annotations

from pathlib import Path

from lossimpl import files
from reports.record.formats import Record, parsed, require, require_fields
from reports.record.kinds import COUNT, NAMED, TEXT, TEXTS, WORKS
from reports.record.reader import BROKEN, plain
from reports.record.schema import Field, Fields
from reports.record.units import Problem

DOCS = Path(__file__).parents[2] / "docs"
MUTANTS, WAYS = DOCS / "mutants.jsonl", DOCS / "ways.jsonl"
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
FIELDS = {MUTANTS.name: MUTANT, WAYS.name: WAY}


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
    return dict(held)
