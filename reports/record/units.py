"""Which stored files are read together: those of a commit in an environment, and those of a machine.

    <machine>/machine.json                          asv: facts about the machine
    <machine>/<hash8>-<env>.json                    asv: format 2, one file per commit and environment
    <machine>/<hash8>-<env>.rows.jsonl              one object per row and session: rounds, agreement, memory
    <machine>/<hash8>-<env>.sessions.jsonl          one object per session: its grid, when, how long
    <machine>/<hash8>-<env>.manifest.jsonl          one environment per line, by `id`
    <machine>/<hash8>-<env>.conformance.jsonl.gz    one object per case, implementation, device and dtype
    <machine>/<hash8>-<env>.loaders.jsonl           one object per DataLoader configuration
    <machine>/sweep-selftest.json                   how often a session's intervals cover the next session
    <machine>/replay.json                           which stored numbers were reproduced
    <machine>/gate-selftest.json                    error rates of the gate
    <machine>/loaders-selftest.json                 accuracy of the search for loader settings
    <machine>/changes.jsonl                         what each night reported, settled by pairs of processes
    <machine>/nightly.jsonl                         what each night planned, and what became of it

A side-car may be packed, as `.jsonl.gz` or `.jsonl.zst`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports.record.documents import DOCUMENTS
from reports.record.kinds import NAME

UNFINISHED = ("rounds", "loaders-runs")  # kinds of what is still being measured


@dataclass(frozen=True)
class Problem:
    """Something stored that could not be read; `place` is the file, with the line where there is one."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Unit:
    """Files of one machine that are read together; `stem` is their common name, empty for the machine's own."""

    machine: str
    stem: str
    paths: tuple[Path, ...]

    def digest(self) -> str:
        """What the files hold, by name: the same bytes give the same digest wherever they lie."""
        found = hashlib.sha256()
        for path in self.paths:
            known = path.is_file() and not path.is_symlink()
            held = hashlib.file_digest(path.open("rb"), "sha256").hexdigest() if known else "no file"
            found.update(f"{path.name} {held}\n".encode(errors="surrogateescape"))
        return found.hexdigest()[:16]

    def state(self) -> list[list[object]]:
        """Names, sizes and times of the files: while they stay the same, so does the digest."""
        return [[path.name, (seen := path.lstat()).st_size, seen.st_mtime_ns, seen.st_ino] for path in self.paths]


def stem_and_kind(path: Path) -> tuple[str, str]:
    """A side-car's stem and kind; those of a JSON file are its stem and ""."""
    return stem_and_kind_of(path.name)


def stem_and_kind_of(file: str) -> tuple[str, str]:
    """The stem and kind of a file by its name.

    >>> stem_and_kind_of("abafb5aa-py3.11.rows.jsonl.gz"), stem_and_kind_of("changes.jsonl")
    (('abafb5aa-py3.11', 'rows'), ('', 'changes'))
    """
    if file.endswith(".json"):
        return ("" if file in DOCUMENTS else file.removesuffix(".json")), ""
    name = file.removesuffix(".gz").removesuffix(".zst").removesuffix(".jsonl")
    stem, _, kind = name.rpartition(".")
    return stem, kind


def units(folder: Path) -> tuple[list[Unit], list[Problem]]:
    """Every unit under `folder`, and the folders that are no machine's. A folder that is absent has none."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"results: {folder} is a file; expected asv's results folder")
    found: list[Unit] = []
    problems = []
    for machine in sorted(path for path in folder.glob("*") if path.is_dir()):
        if what := _no_machine(machine):
            problems.append(Problem(shown(machine.name), what))
        else:
            found += _of_machine(machine)
    return found, problems


def shown(name: str) -> str:
    """A file's name as text, also where it is no text."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _no_machine(folder: Path) -> str:
    if folder.is_symlink():
        return "is a symbolic link, which is not followed"
    return "" if NAME.fullmatch(folder.name) else "is no machine's name: letters, digits, _ . + - only"


def _of_machine(folder: Path) -> Iterator[Unit]:
    """The machine's own files first, which exist for every machine, even if there are none."""
    grouped: dict[str, list[Path]] = {"": []}
    for path in sorted(folder.iterdir()):
        stem, kind = stem_and_kind(path)
        if path.name.endswith((".json", ".jsonl", ".jsonl.gz", ".jsonl.zst")) and kind not in UNFINISHED:
            grouped.setdefault(stem, []).append(path)
    for stem, paths in sorted(grouped.items()):
        yield Unit(folder.name, stem, tuple(paths))
