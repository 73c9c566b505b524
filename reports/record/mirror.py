"""An archive and the folder of results that it is derived from: what differs, and how it is brought up to date."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from reports.record.archive import VERSION, Archive, version_of
from reports.record.location import Location
from reports.record.units import Problem, Unit, units

SEEN = "seen.json"  # the states of the files that an archive was made from


def changed(archive: Archive, folder: Path) -> tuple[list[tuple[Unit, str]], set[tuple[str, str]], list[Problem]]:
    """The units under a folder that the archive lacks, with their digests; those only the archive has; the problems."""
    found, problems = units(folder)
    known = archive.known()
    digests = dict(_digests(archive, found))
    new = [(unit, digests[unit]) for unit in found if known.get((unit.machine, unit.stem)) != digests[unit]]
    return new, known.keys() - {(unit.machine, unit.stem) for unit in found}, problems


def _digests(archive: Archive, found: list[Unit]) -> Iterator[tuple[Unit, str]]:
    """The digest of each unit; of files that have not been touched since the last time, the one of then."""
    seen = json.loads(archive.where.read(SEEN) or b"{}") if archive.where.local else {}
    fresh = {}
    for unit in found:
        key, state = f"{unit.machine}/{unit.stem}", json.loads(json.dumps(unit.state()))
        old = seen.get(key, [None, ""])
        fresh[key] = [state, old[1] if old[0] == state else unit.digest()]
        yield unit, fresh[key][1]
    if archive.where.local and fresh != seen:
        with archive.where.writing(SEEN) as file:
            file.write(json.dumps(fresh).encode())


def mirror(folder: Path, where: str | Path) -> tuple[Archive, list[Problem]]:
    """An archive that has exactly what is under a folder: what changed since the last time is read, and no more.

    One of an older version is made again.
    """
    held = Location.of(where)
    if held.local and version_of(held) < VERSION:
        shutil.rmtree(held.root)
    archive = Archive(where)
    new, gone, problems = changed(archive, folder)
    archive.add(new)
    archive.remove(gone)
    return Archive(where), problems
