"""One line of a side-car, checked against its format: JSON values in, flat records out.

Pure: `reader` opens the files. Whatever a format does not allow raises `Malformed` with the reason.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from reports.record import kinds, schema
from reports.record.rounds import over_session
from reports.record.rows import LOADING_PARAMETERS, LOSS_PARAMETERS

Record = dict[str, Any]

NEWEST = 2  # version of a row's format
MOST_DEPTH = 32  # of objects and lists in each other
EARLIEST = pd.Timestamp("2010-01-01", tz="UTC")  # before torch and its ancestors
AHEAD = pd.Timedelta(days=1)  # a clock may be ahead by
BEHIND = pd.Timedelta(hours=1)  # a later time of the same session may be behind an earlier one by


class SideCar(NamedTuple):
    """The fields of a kind's lines, the one that a line is named by, and the archive's table of them as JSON.

    Rows and hard cases have columns of their own there, and no name.
    """

    fields: schema.Fields
    key: str = ""
    table: str = ""


SIDE_CARS = {
    "rows": SideCar(schema.ROW),
    "sessions": SideCar(schema.SESSION_LINE, "session", "sessions"),
    "manifest": SideCar(schema.MANIFEST, "id", "manifest"),
    "conformance": SideCar(schema.CONFORMANCE),
    "loaders": SideCar(schema.LOADER, "dataset", "loaders"),
    "changes": SideCar(schema.NIGHT, "commit", "nights"),
    "nightly": SideCar(schema.NIGHTLY, "night", "nightly"),
}
CASE = tuple(schema.CONFORMANCE)
NAMED = {name: schema.ROW[name] for name in ("loss", *LOSS_PARAMETERS)}


class Malformed(ValueError):
    """A file or line that its format does not allow."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Malformed(what)


def samples(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not (isinstance(values, list) and all(map(kinds.finite, values))):
        raise Malformed(f"{name}: samples {values!r:.60} are not numbers")
    return tuple(map(float, values)) or None


@cache
def identity(name: str, params: tuple[str, ...]) -> Record:
    """The loss, which is the benchmark file's stem, and the parameters by name: the same at every commit."""
    values = [one.strip("'\"") for one in params]
    if name.startswith("loading."):
        dataset, settings = values[0] if values else None, dict(zip(LOADING_PARAMETERS[1:], values[1:], strict=False))
        return {"dataset": dataset, "scenario": settings}
    if len(params) != len(LOSS_PARAMETERS):
        return {}
    named = {"loss": name.split(".")[0], **dict(zip(LOSS_PARAMETERS, values, strict=True))}
    require_fields(named, NAMED, f"{name}: ")
    return named


def require_fields(record: Record, fields: schema.Fields, where: str = "") -> None:
    if what := schema.fault(record, fields):
        raise Malformed(f"{where}{what}")


def side_record(kind: str, record: Any) -> Record:
    """A line of the side-cars of any kind but rows, unchanged except for its time."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    require_fields(record, SIDE_CARS[kind].fields)
    if kind == "sessions":
        return {**record, "began_at": time(record.get("began_at"), "began_at")}
    return dict(record)


def columns_of_case(held: Record) -> Record:
    """A hard case as columns: its texts, and everything else as JSON."""
    row = {name: held[name] for name in CASE if isinstance(held.get(name), str)}
    rest = {name: value for name, value in held.items() if name not in row}
    return row | {"other": text(rest) if rest else None}


def parsed(data: bytes) -> Any:
    """JSON from a file, of which every field is there once, and every text can be written again."""
    try:
        found = json.loads(data.decode(), object_pairs_hook=_object)
    except (json.JSONDecodeError, UnicodeDecodeError, Malformed):
        raise
    except ValueError as error:  # a number of thousands of digits
        raise Malformed(f"not JSON: {error}") from error
    if b"\\ud" in data or b"\\uD" in data:
        try:
            text(found).encode()
        except UnicodeEncodeError as error:
            raise Malformed(f"not UTF-8 text: half of a character, {error.object[error.start]!r}") from error
    if data.count(b"{") + data.count(b"[") > MOST_DEPTH:
        _require_flat(found)
    return found


def _object(fields: list[tuple[str, Any]]) -> Record:
    found = dict(fields)
    if len(found) < len(fields):
        names = [name for name, _ in fields]
        raise Malformed(f"has the field {next(name for name in names if names.count(name) > 1)!r:.60} twice")
    return found


def _require_flat(value: Any) -> None:
    """Refuse a value that the functions that call themselves for its parts could not handle."""
    level = [value]
    for _ in range(MOST_DEPTH):
        parts = (one.values() if isinstance(one, dict) else one for one in level)
        level = [part for some in parts for part in some if isinstance(part, dict | list)]
        if not level:
            return
    raise Malformed("is nested too deeply")


def text(record: Any) -> str:
    """A value as JSON, its fields in their order."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def side_row(record: Any) -> Record:
    """A line of rows.jsonl, flat: the fields of `agreement` and what follows from `rounds` become fields of it."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    for key, kind in {"benchmark": str, "params": list}.items():
        require(isinstance(record.get(key), kind), f"{key!r} is {record.get(key)!r:.60}, expected {kind.__name__}")
    name, params = record["benchmark"], tuple(map(str, record["params"]))
    version = record.get("format", 1)
    require(version in range(1, NEWEST + 1), f"{name}: format {version!r:.20} is unknown; known are 1 to {NEWEST}")
    require_fields(record, schema.LOADER_ROW if name.startswith("loading.") else schema.ROW, f"{name}: ")
    known = identity(name, params)
    for key in set(known) & set(record) & {"loss", *LOSS_PARAMETERS}:
        require(record[key] in (known[key], None), f"{name}: {key!r} is {record[key]!r}, but its name says otherwise")
    agreement = record.get("agreement") or {}
    require_fields(agreement, schema.AGREEMENT, f"{name}: agreement: ")
    fields = {**known, **agreement, **record, "params": params}
    fields["reason"] = record.get("reason") or agreement.get("reason")
    fields["samples"] = samples(name, record.get("samples"))
    fields["started_at"] = time(record.get("started_at"), f"{name}: started_at")
    fields |= _of_rounds(name, record) if "rounds" in record else _of_one_process(fields)
    return {key: value for key, value in fields.items() if value is not None and key not in ("agreement", "rounds")}


def _of_rounds(name: str, record: Record) -> Record:
    found = record["rounds"]
    require(isinstance(found, list), f"{name}: rounds is {type(found).__name__}, expected a list")
    for one in found:
        require(isinstance(one, dict), f"{name}: {one!r:.60} is not a round")
        require_fields(one, schema.ROUND, f"{name}: round {one.get('number')!r:.20}: ")
    numbers = [one["number"] for one in found]
    require(len(set(numbers)) == len(numbers), f"{name}: two rounds have the same number")
    times = [time(one["started_at"], f"{name}: started_at") for one in found if one.get("started_at")]
    backwards = any(later < earlier - BEHIND for earlier, later in pairwise(filter(None, times)))
    require(not backwards, f"{name}: a round began before the one that precedes it; the clock went backwards")
    return over_session(found, record.get("status"), record.get("traffic"))


def _of_one_process(fields: Record) -> Record:
    """A loss that was measured in one process (format 1) beside other processes is disturbed, as its rounds would be.

    Loaders start processes of their own, which such a row counts as others.
    """
    busy = fields.get("busy")
    if fields.get("status") != "ok" or not isinstance(busy, str) or not busy or "loss" not in fields:
        return {}
    return {"status": "disturbed", "reason": busy}


def require_order(first: pd.Timestamp | None, then: pd.Timestamp | None, what: str) -> None:
    """Refuse what happened before something that it follows from: a clock was wrong."""
    if first is not None and then is not None and then < first - BEHIND:
        raise Malformed(f"{what}: {then:%Y-%m-%d %H:%M} is before {first:%Y-%m-%d %H:%M}; a clock was wrong")


def time(value: Any, what: str) -> pd.Timestamp | None:
    """asv writes milliseconds since 1970; the side-cars seconds or ISO 8601.

    >>> time(1_700_000_000_000, "date") == time(1_700_000_000, "date") == time("2023-11-14T22:13:20Z", "date")
    True
    """
    if value is None:
        return None
    try:
        unit = "ms" if kinds.number(value) and value > 1e11 else "s"
        stamp = pd.Timestamp(value, unit=unit) if kinds.number(value) else pd.Timestamp(datetime.fromisoformat(value))
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except (ValueError, OverflowError, TypeError) as error:
        raise Malformed(f"{what} {value!r:.60} is not a time") from error
    require(not pd.isna(stamp), f"{what} {value!r:.60} is not a time")
    require(stamp > EARLIEST, f"{what} {stamp} is before {EARLIEST:%Y}")
    require(stamp < pd.Timestamp.now(tz="UTC") + AHEAD, f"{what} {stamp} is in the future")
    return stamp
