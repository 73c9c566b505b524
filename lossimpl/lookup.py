"""Stored rows found by their id: in a file, in a folder of results or of a site, and among those that `compare` kept.

A row is looked up by its id or by the first digits of it, as git looks up a commit. A file that cannot be read, or a
line that is none, is named and does not hide the others.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lossimpl import files, identity, wording

Record = dict[str, Any]
BROKEN = (OSError, ValueError, EOFError, RecursionError, zlib.error)  # of JSON and of UTF-8 are ValueErrors
DIGITS = re.compile(r"[0-9a-f]{4,12}")  # of an id, or the first of them
NAMES = ("*.rows.jsonl", "*.rows.jsonl.gz", "*.rows.jsonl.zst")
KEPT = 200  # newest comparisons whose rows are kept
LOADERS = "rows of loader settings lack the rounds that a comparison needs: `lossimpl loaders` measures settings again"
TITLE = ("loss", "implementation", "shape", "dtype", "device", "mode", "status")


class Unusable(ValueError):
    """A row that cannot be replayed, or an id or a place that gives none; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A stored row and where it was found; `number` counts the lines, or the items of a JSON list, from 1."""

    record: Record
    file: Path
    number: int

    @cached_property
    def placed(self) -> Record:
        """The row with its machine and its commit, which older ones have in the names of folder and file only."""
        return {"machine": self.file.absolute().parent.name, "commit": _commit_of(self.file)} | self.record

    @cached_property
    def id(self) -> str:
        """The id of the row, as it says or as it follows from what identifies it."""
        return str(self.record.get("id") or identity.row_id(self.placed))

    @property
    def fault(self) -> str:
        """How the row was changed after it was written, or the empty string."""
        return identity.fault(self.record)

    @property
    def place(self) -> str:
        """The file and the line."""
        return f"{self.file}, row {self.number}"

    @property
    def title(self) -> str:
        """The row in one line."""
        return " ".join(str(self.record.get(name, "?")) for name in TITLE)


@dataclass
class Found:
    """The rows of losses in a place, those of loader settings, and what could not be read there."""

    entries: list[Entry] = field(default_factory=list)
    loaders: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def found_in(place: Path) -> Found:
    """The rows of losses in a file, or in a folder and those in it; FileNotFoundError if there is neither."""
    if not place.exists():
        raise FileNotFoundError(f"{place}: no such file or folder")
    paths = [place]
    if place.is_dir():
        paths = sorted({path for name in NAMES for pattern in (name, f"*/{name}") for path in place.glob(pattern)})
    found = Found()
    for path in paths:
        _read(path, found)
    return found


def _read(path: Path, found: Found) -> None:
    try:
        text = files.whole(path.resolve(), files.MOST_BYTES).decode()
        items = enumerate(json.loads(text), 1) if text.lstrip().startswith("[") else _lines(path, text, found)
        rows = [Entry(one, path, number) for number, one in items if isinstance(one, dict)]
        found.entries += [one for one in rows if "implementation" in one.record]
        found.loaders += [one for one in rows if "scenario" in one.record]
    except BROKEN as error:
        found.problems.append(f"{path}: {error}")


def _lines(path: Path, text: str, found: Found) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                found.problems.append(f"{path}, line {number}: {error}")


def matching(digits: str, entries: Iterable[Entry]) -> list[Entry]:
    """The rows whose id begins with these digits, one of several that hold the same; several are several rows."""
    found = [one for one in entries if one.id.startswith(digits)]
    return [*{identity.digest(one.record): one for one in reversed(found)}.values()][::-1]


def in_places(*places: Path) -> Found:
    """The rows of losses in some places; Unusable if there is none, with what could not be read."""
    found = Found()
    for one in map(found_in, places):
        found.entries += one.entries
        found.loaders += one.loaders
        found.problems += one.problems
    if not found.entries:
        where = wording.names([str(place) for place in places])
        raise Unusable("; ".join(found.problems) or f"{where}: no row of a loss; {LOADERS}")
    return found


def by_id(digits: str, found: Found, place: Path) -> Entry:
    """The only row whose id begins with these digits; Unusable says what there is instead."""
    rows = matching(digits, found.entries)
    if len(rows) > 1:
        names = "; ".join(f"{one.id} in {one.place}" for one in rows[:5])
        raise Unusable(f"{digits}: {len(rows)} rows have this id: {names}")
    if rows:
        return rows[0]
    if loader := next(iter(matching(digits, found.loaders)), None):
        raise Unusable(f"{digits}: {loader.place} is a row of loader settings; {LOADERS}")
    raise Unusable(f"{digits}: {place} has no row with this id; --in names another file or folder")


def of_commit(digits: str, found: Found, place: Path) -> list[Entry]:
    """The rows of a commit; Unusable if there is none."""
    rows = [one for one in found.entries if same_commit(str(one.placed["commit"]), digits)]
    if not rows:
        raise Unusable(f"{digits}: no such file or folder, and {place} has no row of such a commit")
    return rows


def same_commit(one: str, other: str) -> bool:
    """Whether one hash begins with the other, of at least 7 digits.

    >>> same_commit("0123abcd", "0123abcd4567"), same_commit("0123abcd", "0123abc"), same_commit("0123abcd", "01")
    (True, True, False)
    """
    return min(len(one), len(other)) >= 7 and (one.startswith(other) or other.startswith(one))


def _commit_of(path: Path) -> str:
    """The commit that the name of a result file begins with, or the empty string."""
    known = re.match(rf"([0-9a-f]{{{identity.HASH}}})-", path.name)
    return known[1] if known else ""


def manifests(file: Path) -> dict[str, Record]:
    """The manifests beside a file of rows, by their id; Unusable names a file that holds none."""
    name = file.name.removesuffix(".gz").removesuffix(".zst")
    beside = file.with_name(name.replace(".rows.jsonl", ".manifest.jsonl"))
    if beside.name == name or not beside.exists():
        return {}
    try:
        found = [json.loads(line) for line in files.lines(beside.resolve()) if line.strip()]
        return {manifest["id"]: manifest for manifest in found}
    except (*BROKEN, KeyError, TypeError) as error:
        raise Unusable(f"{beside}: no manifests, {error}") from error


def kept() -> Path:
    """The folder of the rows that `compare` measured."""
    from lossimpl import machine  # late: it takes longer to import than a file to list

    return machine.state() / "compared"


def keep(records: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> None:
    """Keep the rows of a comparison, so that their ids can be looked up; those of the oldest comparisons are removed.

    Where the folder cannot be written, nothing is kept.
    """
    stem = kept() / str(records[0]["session"])
    with suppress(OSError):
        stem.parent.mkdir(parents=True, exist_ok=True)
        for kind, lines in (("rows", records), ("manifest", [manifest])):
            text = "".join(json.dumps(one) + "\n" for one in lines)
            stem.with_name(f"{stem.name}.{kind}.jsonl").write_text(text)
        for path in sorted(stem.parent.glob("*.jsonl"), key=lambda one: one.stat().st_mtime_ns)[: -2 * KEPT]:
            path.unlink(missing_ok=True)
