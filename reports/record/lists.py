"""Lists of JSON lines in docs/, which commands wrote: the mutants, and the ways of calling.

A line that its table does not allow costs only itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from lossimpl import files
from reports.record.formats import Record, require, require_fields
from reports.record.reader import BROKEN, plain
from reports.record.schema import MUTANT, WAY
from reports.record.units import Problem

DOCS = Path(__file__).parents[2] / "docs"
MUTANTS, WAYS = DOCS / "mutants.jsonl", DOCS / "ways.jsonl"
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
    held = json.loads(line.decode())
    require(isinstance(held, dict), f"is {type(held).__name__}, expected a JSON object")
    require_fields(held, FIELDS[name])
    return dict(held)
