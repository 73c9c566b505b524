"""The numbers of claims as CSV: criteria.csv, and the points of each claim's figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossimpl.claims.support.verdict import Result, finding_record


def write(folder: Path, results: Sequence[Result]) -> None:
    """Write criteria.csv and NAME.csv per claim, with a line per seed and number."""
    folder.mkdir(parents=True, exist_ok=True)
    criteria = [
        {"claim": one.name, "seed": one.seed, "verdict": one.verdict, **finding_record(finding)}
        for one in results
        for finding in one.findings
    ]
    (folder / "criteria.csv").write_text(text(criteria))
    for name in dict.fromkeys(one.name for one in results):
        rows = [{"seed": one.seed, **point} for one in results if one.name == name for point in one.points()]
        (folder / f"{name}.csv").write_text(text(rows))


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Records of the same fields as CSV.

    >>> text([{"a": 1, "b": "x, y"}])
    'a,b\\n1,"x, y"\\n'
    """
    held = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(held[0]) if held else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(held)
    return buffer.getvalue()
