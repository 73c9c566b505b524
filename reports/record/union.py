"""Two versions of one result file as one that holds everything of both.

Whatever the order in which versions meet, the same records come out, and none twice: of two records with one name, the
one that was measured longer or later stays. So machines may write at once, and a stale copy never replaces newer work.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

from lossimpl.files import MOST_BYTES
from reports.record.schema import Record
from reports.record.units import stem_and_kind_of

Name = tuple[Any, ...]
BROKEN = (ValueError, TypeError, OSError, EOFError, zlib.error, RecursionError)
NAMES: dict[str, tuple[str, ...]] = {  # the fields that name a line of each kind; a kind's other lines name themselves
    "rows": ("session", "benchmark", "params"),
    "sessions": ("session",),
    "manifest": ("id",),
    "conformance": ("loss", "case", "implementation", "device", "dtype"),
    "changes": ("row", "environment", "event", "commit", "text"),
    "nightly": ("night",),
}


def union(name: str, kept: bytes, added: bytes) -> bytes:
    """What a file holds after a version is added to it; the bytes of `kept` if that has everything already.

    A version that cannot be read gives way to one that can.

    >>> union("a.sessions.jsonl", b'{"session": "s"}\\n', b'{"session": "t"}\\n')
    b'{"session": "s"}\\n{"session": "t"}\\n'
    """
    if kept == added:
        return kept
    merge = _lines if ".jsonl" in name else _json
    try:
        return merge(name, kept, added)
    except BROKEN:
        return _readable(name, kept, added)


def _readable(name: str, kept: bytes, added: bytes) -> bytes:
    """Of two files that cannot be merged, the one that can be read."""
    for held in (kept, added):
        try:
            _lines(name, held, b"") if ".jsonl" in name else json.loads(held)
        except BROKEN:
            continue
        return held
    return kept


def _lines(name: str, kept: bytes, added: bytes) -> bytes:
    unpack, pack = _packing(name)
    kind = stem_and_kind_of(name)[1]
    before, after = (_named(kind, unpack(held)) for held in (kept, added or pack(b"")))
    whole = before | {key: max(before.get(key, line), line, key=_weight) for key, line in after.items()}
    return kept if whole == before else pack(b"".join(line + b"\n" for line in whole.values()))


def _named(kind: str, held: bytes) -> dict[Name, bytes]:
    """The lines by their names, in the order of the file."""
    found: dict[Name, bytes] = {}
    for line in filter(bytes.strip, held.split(b"\n")):
        key = _name(kind, line)
        found[key] = max(found.get(key, line), line, key=_weight)
    return found


def _name(kind: str, line: bytes) -> Name:
    record = _record(line)
    named = tuple(json.dumps(record.get(field)) for field in NAMES.get(kind, ()))
    return named if any(one != "null" for one in named) else (line,)


def _weight(line: bytes) -> tuple[Any, ...]:
    """What decides between versions of a record: rounds, whether it succeeded and ended, when, and then its bytes."""
    record = _record(line)
    rounds = record.get("rounds")
    count = len(rounds) if isinstance(rounds, list) else rounds if isinstance(rounds, int) else 0
    return count, record.get("status") == "ok", bool(record.get("ended_at")), _time(record), line


def _record(line: bytes) -> Record:
    try:
        found = json.loads(line)
    except BROKEN:
        return {}
    return found if isinstance(found, dict) else {}


def _time(record: Record) -> str:
    """When a record was written, as text that sorts; an absent time is the earliest."""
    return max((str(record[name]) for name in ("measured_at", "began_at", "ended_at") if record.get(name)), default="")


def _json(name: str, kept: bytes, added: bytes) -> bytes:
    before, after = json.loads(kept), json.loads(added)
    whole = _of_asv(before, after) if "results" in before and "results" in after else None
    if whole is None and name.endswith("benchmarks.json"):
        whole = after | before
    if whole is None:
        whole = max(before, after, key=lambda one: (_time(one), one.get("sessions", []), json.dumps(one)))
    return kept if whole == before else json.dumps(whole).encode()


def _of_asv(before: Record, after: Record) -> Record | None:
    """asv's file with the benchmarks of both, of each the one that was measured last; None if their columns differ."""
    columns = before["result_columns"]
    if columns != after["result_columns"]:
        return None
    place = columns.index("started_at")

    def weight(cells: list[Any]) -> tuple[int, str]:
        return (cells[place] or 0) if len(cells) > place else 0, json.dumps(cells)

    names = {**before["results"], **after["results"]}
    held = [one["results"] for one in (before, after)]
    results = {name: max((one[name] for one in held if name in one), key=weight) for name in names}
    newest = max(before, after, key=lambda one: (one.get("date") or 0, json.dumps(one, sort_keys=True)))
    durations = {**after.get("durations", {}), **before.get("durations", {})}
    return {**newest, "results": results, **({"durations": durations} if durations else {})}


def _packing(name: str) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """How the file is unpacked, with a bound on its size, and packed; the same lines give the same bytes."""
    if name.endswith(".gz"):
        return _gunzip, lambda held: gzip.compress(held, mtime=0)
    if name.endswith(".zst"):
        import pyarrow as pa

        return lambda held: _bounded(pa.CompressedInputStream(pa.BufferReader(held), "zstd")), _zstd
    return bytes, bytes


def _gunzip(held: bytes) -> bytes:
    with gzip.open(io.BytesIO(held)) as file:
        return _bounded(file)


def _zstd(held: bytes) -> bytes:
    import pyarrow as pa

    return bytes(pa.Codec("zstd").compress(held, asbytes=True))


def _bounded(file: Any) -> bytes:
    held = bytes(file.read(MOST_BYTES + 1))
    if len(held) > MOST_BYTES:
        raise ValueError("too large")
    return held
