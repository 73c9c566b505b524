"""What went into an archive, as it was: the records of every unit, and asv's file of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reports.record import columns
from reports.record.archive import Archive, Partition
from reports.record.reader import Contents
from reports.record.schema import Record

KEYED = ("sessions", "manifest", "loaders", "changes")


def unpacked(archive: Archive, partition: Partition) -> dict[str, dict[str, Any]]:
    """By stem, what each unit of a partition holds: records by line of each kind, documents, and `asv`, its file."""
    found: dict[str, dict[str, Any]] = {stem: {} for stem in partition.units}
    for stem, kind, place, record in _records(archive, partition):
        found[stem].setdefault(kind, {})[place] = record
    return found


def _records(archive: Archive, partition: Partition) -> Iterator[tuple[str, str, Any, Any]]:
    def rows(table: str) -> Iterator[tuple[str, Record]]:
        for row in archive.table(table, partition).to_pylist():
            yield f"{row['commit']}-{row['env']}" if row["env"] else "", row

    headers = {}
    for stem, row in rows("runs"):
        if row["header"]:
            headers[stem] = json.loads(row["header"])
            yield stem, "asv", "", headers[stem]
    for stem, row in rows("asv"):
        yield stem, "asv", row["benchmark"], columns.cells_of(headers[stem], row)
    for stem, row in rows("rows"):
        if row["line"] > 0:
            compacted = {"quantiles": row["quantiles"]} if row["quantiles"] else {}
            yield stem, "rows", row["line"], columns.record_of(row) | compacted
    for stem, row in rows("conformance"):
        yield stem, "conformance", row["line"], columns.case_of(row)
    for kind in (*KEYED, "documents"):
        for stem, row in rows(columns.TABLE_OF.get(kind, kind)):
            yield stem, kind, row["line"] or row["key"], json.loads(row["record"])


def held(contents: Contents) -> dict[str, Any]:
    """The same of what a unit's files hold."""
    found: dict[str, Any] = {
        kind: {line.number: line.held for line in lines} for kind, lines in contents.lines.items() if lines
    }
    if contents.documents:
        found["documents"] = contents.documents
    return found | ({"asv": {"": contents.header, **contents.cells}} if contents.header else {})


def differences(stored: dict[str, Any], held: dict[str, Any]) -> Iterator[str]:
    """Where an archive differs from the files that it was made from: kind and line."""
    for kind in sorted({*stored, *held}):
        one, other = stored.get(kind, {}), held.get(kind, {})
        for place in sorted({*one, *other}, key=str):
            if place not in one or place not in other or not _same(one[place], other[place]):
                yield f"{kind} {place}"


def _same(stored: Any, held: Any) -> bool:
    """Whether a record is as it was, except for samples that were compacted."""
    if isinstance(stored, dict) and "quantiles" in stored:
        rounds = [{**one, "samples": None} for one in held.get("rounds") or []]
        held = held | ({"rounds": rounds} if rounds else {}) | {"samples": None, "quantiles": stored["quantiles"]}
        stored = stored | {"samples": None}
        stored |= {"rounds": [{**one, "samples": None} for one in stored["rounds"]]} if rounds else {}
    return columns.same(stored, held)
