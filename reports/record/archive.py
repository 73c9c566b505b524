"""The archive: everything stored, as Parquet, in partitions of one machine and one month of its commits.

    format.json                                             its version
    machine=<machine>/month=<yyyy-mm>/partition.json        the units of the partition, and the files that hold them
    machine=<machine>/month=<yyyy-mm>/<table>-<id>.parquet  one table (`columns.TABLES`) of all of them

It is derived from result files and can be rebuilt from them at any time, with the same content. A partition is what its
partition.json names: that is written last, so a half-written partition is invisible, and files that no partition.json
names are of no account. A unit that is read again replaces itself. Adding a session rewrites one partition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reports.record import columns
from reports.record.location import Location
from reports.record.reader import Contents, Malformed, read_unit
from reports.record.schema import Record
from reports.record.summary import summary
from reports.record.units import Unit

VERSION = 3
OWN = "own"  # the month of what is a machine's and not a commit's
POINTER = "partition.json"
GROUP = 8_192  # rows: what a query for one series reads of a partition
REPEATS = 5  # of a write to object storage that another writer undid


@dataclass(frozen=True)
class Partition:
    """One machine and month: its `files` by table, the digest of each of its `units` by stem."""

    machine: str
    month: str
    files: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    replaced: tuple[str, ...] = ()  # files of the last version, which a reader may still have open

    @property
    def folder(self) -> str:
        """Its path in the archive."""
        return f"machine={self.machine}/month={self.month}"

    @property
    def commits(self) -> set[str]:
        """The commits that have units in it, by their first 8 digits."""
        return {stem[:8] for stem in self.units if stem}

    def path(self, table: str) -> str:
        """The path of a table's file in the archive."""
        return f"{self.folder}/{self.files[table]}"


class Archive:
    """An archive at a location."""

    def __init__(self, where: str | Path) -> None:
        self.where = Location.of(where)
        version = version_of(self.where)
        if version != VERSION:
            known = f"this version reads {VERSION}; remove it to have it made again"
            raise Malformed(f"{where}: an archive of version {version}; {known}")

    @cached_property
    def partitions(self) -> list[Partition]:
        """Every partition, by machine and month."""
        return [self._partition(name) for name in self.where.names(f"/{POINTER}")]

    def _partition(self, name: str) -> Partition:
        machine, month = (part.partition("=")[2] for part in name.split("/")[:2])
        held = json.loads(self.where.read(name) or b"{}")
        return Partition(machine, month, held.get("files", {}), held.get("units", {}), tuple(held.get("replaced", ())))

    def known(self) -> dict[tuple[str, str], str]:
        """The digest of every unit by machine and stem."""
        return {(one.machine, stem): digest for one in self.partitions for stem, digest in one.units.items()}

    def places(self) -> dict[tuple[str, str], str]:
        """The month of every unit by machine and stem."""
        return {(one.machine, stem): one.month for one in self.partitions for stem in one.units}

    def paths(self, table: str, machine: str | None = None) -> list[str]:
        """The files of a table, in the file system of the archive."""
        chosen = (one for one in self.partitions if machine in (None, one.machine) and table in one.files)
        return [self.where.path(one.path(table)) for one in chosen]

    def table(self, name: str, partition: Partition) -> pa.Table:
        """A table of a partition."""
        if name not in partition.files:
            return columns.TABLES[name].empty_table()
        path = self.where.path(partition.path(name))
        return pq.ParquetFile(self.where.system.open_input_file(path)).read()

    def derived(self, name: str, machine: str) -> pa.Table | None:
        """A table that was derived from a machine's rows and kept, None if there is none."""
        held = self.where.read(f"derived/{name}-{machine}.parquet")
        return pq.read_table(pa.BufferReader(held)) if held else None

    def derive(self, name: str, machine: str, table: pa.Table) -> None:
        """Keep a table that was derived from a machine's rows."""
        with self.where.writing(f"derived/{name}-{machine}.parquet") as file:
            pq.write_table(table, file, compression="zstd")

    def add(self, found: Iterable[tuple[Unit, str]]) -> list[str]:
        """Read units with their digests and put them in; return the partitions that were rewritten."""
        if not self.where.read("format.json"):
            with self.where.writing("format.json") as file:
                file.write(json.dumps({"version": VERSION}).encode())
        grouped: dict[tuple[str, str], list[tuple[Contents, str]]] = {}
        places = self.places()
        for unit, digest in found:
            contents = read_unit(unit)
            month = month_of(contents)
            before = places.get((unit.machine, unit.stem), month)
            if before != month:  # its commit got another date
                self._write(unit.machine, before, [], drop=[unit.stem])
            grouped.setdefault((unit.machine, month), []).append((contents, digest))
        for (machine, month), added in grouped.items():
            self._write(machine, month, added)
        return [f"machine={machine}/month={month}" for machine, month in grouped]

    def remove(self, gone: Iterable[tuple[str, str]]) -> None:
        """Take out units, by machine and stem."""
        places = self.places()
        for machine, stem in gone:
            self._write(machine, places[machine, stem], [], drop=[stem])

    def _write(self, machine: str, month: str, added: list[tuple[Contents, str]], drop: Iterable[str] = ()) -> None:
        fresh: dict[str, list[Record]] = {name: [] for name in columns.TABLES}
        for contents, digest in added:
            for name, rows in columns.tables(contents, digest).items():
                fresh[name] += rows
        tables = {name: columns.as_table(name, rows) for name, rows in fresh.items()}
        self.put(machine, month, tables, {one.unit.stem: digest for one, digest in added}, drop)

    def put(
        self,
        machine: str,
        month: str,
        tables: Mapping[str, pa.Table],
        units: Mapping[str, str],
        drop: Iterable[str] = (),
    ) -> None:
        """Put tables of some units into a partition, in place of what it has of these units and those to drop."""
        pointer = f"machine={machine}/month={month}/{POINTER}"
        for _ in range(REPEATS):
            with self.where.only_writer(f"locks/{machine}.{month}"):
                before = self._partition(pointer)
                gone = {*units, *drop}
                kept = {stem: digest for stem, digest in before.units.items() if stem not in gone}
                after = self._replaced(before, tables, kept | dict(units), gone)
                self._point(pointer, after)
                if self._partition(pointer).units.items() >= units.items():
                    break
        self.__dict__.pop("partitions", None)

    def _replaced(
        self, before: Partition, tables: Mapping[str, pa.Table], units: Mapping[str, str], gone: set[str]
    ) -> Partition:
        """The partition with new files, which are written; those of the version before the last are removed."""
        files = {}
        whole = {name: self._whole(name, before, tables, gone) for name in columns.TABLES}
        whole["summary"] = summary(whole["rows"])
        identity = hashlib.sha256(json.dumps([VERSION, sorted(units.items())]).encode()).hexdigest()[:12]
        for name, table in whole.items():
            if table.num_rows:
                files[name] = f"{name}-{identity}.parquet"
                with self.where.writing(f"{before.folder}/{files[name]}") as file:
                    write(name, table, file)
        unused = {*before.replaced} - {*before.files.values(), *files.values()}
        for name in unused:
            self.where.delete(f"{before.folder}/{name}")
        replaced = tuple(sorted({*before.files.values()} - {*files.values()}))
        return Partition(before.machine, before.month, files, units, replaced)

    def _whole(self, name: str, before: Partition, tables: Mapping[str, pa.Table], gone: set[str]) -> pa.Table:
        """A table of a partition without units that are gone and with new rows, in its order."""
        kept = _without(self.table(name, before), gone)
        return columns.sort(name, pa.concat_tables([kept, tables[name]] if name in tables else [kept]))

    def _point(self, pointer: str, after: Partition) -> None:
        if not after.units:
            self.where.delete(pointer)
            return
        held = {"files": dict(after.files), "units": dict(sorted(after.units.items())), "replaced": after.replaced}
        with self.where.writing(pointer) as file:
            file.write(json.dumps(held, indent=1).encode())


def version_of(where: Location) -> int:
    """The version of the archive at a location; that of this module if there is none."""
    held = where.read("format.json")
    return int(json.loads(held)["version"]) if held else VERSION


def write(name: str, table: pa.Table, file: Any) -> None:
    """A table as Parquet: words and what repeats by dictionary, what differs in every session by byte planes."""
    noisy = [*columns.MEASURED, "started_at"]
    dictionary = [one for one in table.schema.names if one not in (*noisy, "rounds", "samples", "line", "result")]
    pq.write_table(
        table, file, compression="zstd", compression_level=6, row_group_size=GROUP, version="2.6",
        use_dictionary=[*dictionary, *(f"rounds.list.element.{one}" for one in ("stop", "busy", "beside", "number"))]
        if name == "rows" else True,
        use_byte_stream_split=[
            *columns.MEASURED,
            *(f"rounds.list.element.{one}" for one in ("seconds", "precision", "warmup_seconds", "first_call_seconds")),
            *("rounds.list.element.ceiling", "rounds.list.element.samples.list.element", "samples.list.element"),
        ] if name == "rows" else False,
    )  # fmt: skip


def _without(table: pa.Table, stems: set[str]) -> pa.Table:
    """The rows of a table that are of none of the units."""
    if not stems or not table.num_rows:
        return table
    if "stem" in table.schema.names:
        names = table["stem"].to_pylist()
    else:
        names = [
            f"{commit}-{env}" if env else ""  # of values: Arrow's own empty text counts as true
            for commit, env in zip(*(table[name].to_pylist() for name in ("commit", "env")), strict=True)
        ]
    return table.filter(pa.array([name not in stems for name in names]))


def month_of(contents: Contents) -> str:
    """The month of a unit: that of its commit, or of its first row where asv has no file of it."""
    if not contents.unit.stem:
        return OWN
    times = [line.read["started_at"] for line in contents.lines["rows"] if line.read.get("started_at")]
    date = contents.date or min(times, default=None)
    return f"{date:%Y-%m}" if date is not None else "unknown"
