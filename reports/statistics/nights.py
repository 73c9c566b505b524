"""What the nights reported, as lines of `changes.jsonl`: the findings of a history as they were settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reports.statistics.changes import Finding


def finding_line(one: Finding) -> dict[str, Any]:
    """A finding as a line of `changes.jsonl`."""
    return {
        "row": one.series.row,
        "environment": one.series.environment,
        "commit": one.commit,
        "before": one.before,
        "ratio": round(one.ratio, 4),
        "confidence": round(one.confidence, 6),
        "again": one.again,
        "stands": one.stands,
    }


def settled(found: Iterable[Finding], lines: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """The findings of the histories as nights settled them, by their lines with the `machine` of each.

    A finding that was moved to another commit is reported there. Its ratio stays that of the history; `again` has that
    of the pairs.
    """
    known = {(line["machine"], line.get("row"), line.get("environment"), line.get("commit")): line for line in lines}
    return [_settled(one, known) for one in found]


def _settled(one: Finding, known: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> Finding:
    row = (one.series.machine, one.series.row, one.series.environment)
    line = known.get((*row, one.commit), {})
    line = known.get((*row, line.get("moved_to")), line)
    fields = {name: line[name] for name in ("commit", "before", "again", "stands") if name in line}
    return replace(one, **fields)
