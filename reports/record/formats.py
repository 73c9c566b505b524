"""One file or line of `results/`, checked against its format: JSON values in, flat records out.

Pure: `reader` opens the files. Whatever a format does not allow raises `Malformed` with the reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from typing import Any

import pandas as pd

from reports.record import schema
from reports.record.rounds import over_session
from reports.record.rows import LOADING_PARAMETERS, LOSS_PARAMETERS

Record = dict[str, Any]

FORMAT = 2  # asv.results.Results.api_version
NEWEST = 2  # version of a row's format
EARLIEST = pd.Timestamp("2010-01-01", tz="UTC")  # before torch and its ancestors
AHEAD = pd.Timedelta(days=1)  # a clock may be ahead by
BEHIND = pd.Timedelta(hours=1)  # a later time of the same session may be behind an earlier one by
SIDE_CARS: dict[str, schema.Fields] = {
    "rows": schema.ROW,
    "sessions": schema.SESSION_LINE,
    "manifest": schema.MANIFEST,
    "conformance": schema.CONFORMANCE,
    "loaders": schema.LOADER,
    "changes": schema.NIGHT,
}
DOCUMENTS: dict[str, schema.Fields] = {
    "machine.json": schema.MACHINE,
    "gate-selftest.json": schema.GATE_TEST,
    "loaders-selftest.json": schema.LOADER_TEST,
    "sweep-selftest.json": schema.SWEEP_TEST,
}
PARTS: dict[str, dict[str, schema.Fields]] = {  # the fields of the objects in a list of a document
    "loaders-selftest.json": {"search": schema.SEARCHED, "overhead": schema.ADDED},
    "gate-selftest.json": {
        "detection": {name: schema.Field(schema.ANY, "") for name in ("planted", "rows", "found")},
        "verdicts_on_identical_code": {
            "verdict": schema.Field(schema.TEXT, "", True),
            "rows": schema.Field(schema.COUNT, "", True),
        },
    },
}
NAMED = {name: schema.ROW[name] for name in ("loss", *LOSS_PARAMETERS)}
PER_ROW = {"result": "value", "stats_number": "number"}  # asv's intervals know one process only, and are not read


class Malformed(ValueError):
    """A file or line that its format does not allow."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Malformed(what)


def commit_and_env(stem: str) -> Record:
    """
    >>> commit_and_env("0123abcd-virtualenv-py3.11-torch2.13.0")
    {'commit': '0123abcd', 'env': 'virtualenv-py3.11-torch2.13.0'}
    """
    match = re.fullmatch(r"([0-9a-f]{8})-(.+)", stem)
    if match is None:
        raise Malformed(f"file name {stem!r} is not <first 8 digits of the commit>-<environment>")
    return {"commit": match[1], "env": match[2]}


def header(stem: str, data: Record) -> Record:
    """The fields that all rows of an asv file share; its name `stem` has to agree with its content."""
    require(data.get("version") == FORMAT, f"format version {data.get('version')!r}, expected asv's {FORMAT}")
    for key, kind in {"commit_hash": str, "result_columns": list, "results": dict}.items():
        require(key in data, f"lacks the key {key!r}")
        require(isinstance(data[key], kind), f"{key!r} is {type(data[key]).__name__}, expected {kind.__name__}")
    named = commit_and_env(stem)
    held = data["commit_hash"][:8]
    require(held == named["commit"], f"is of commit {held!r}, but its name says {named['commit']!r}")
    return {**named, "date": time(data.get("date"), "date"), "python": data.get("python")}


def asv_rows(name: str, columns: list[str], cells: Any) -> Iterator[Record]:
    """One record per combination of parameters, in asv's order: the last parameter varies fastest."""
    require(isinstance(cells, list), f"{name}: is {type(cells).__name__}, expected a list")
    require(len(cells) <= len(columns), f"{name}: {len(cells)} values for {len(columns)} columns")
    by_column = dict(zip(columns, cells, strict=False))  # asv drops trailing nulls
    axes = by_column.get("params") or []
    require(isinstance(axes, list) and all(isinstance(axis, list) for axis in axes), f"{name}: params are not lists")
    combinations = [tuple(map(str, one)) for one in product(*axes)]
    per_row = {ours: _per_row(name, theirs, by_column, len(combinations)) for theirs, ours in PER_ROW.items()}
    per_row["samples"] = _per_row(name, "samples", by_column, len(combinations))
    common = {
        "version": by_column.get("version"),
        "started_at": time(by_column.get("started_at"), f"{name}: started_at"),
    }
    for index, params in enumerate(combinations):
        measured = _measured(name, {column: values[index] for column, values in per_row.items()})
        yield {"benchmark": name, "params": params, **common, **_identity(name, params), **measured}


def _per_row(name: str, column: str, by_column: Record, count: int) -> list[Any]:
    values = by_column.get(column)
    if values is None:
        return [None] * count
    require(isinstance(values, list), f"{name}: {column} is {type(values).__name__}, expected a list")
    require(len(values) == count, f"{name}: {len(values)} values of {column} for {count} parameter combinations")
    return list(values)


def _measured(name: str, one: Record) -> Record:
    for column in PER_ROW.values():
        if one[column] is not None and not schema.number(one[column]):
            raise Malformed(f"{name}: {column} {one[column]!r} is not a number")
        if one[column] is not None and (one[column] < 0 or one[column] == math.inf):
            raise Malformed(f"{name}: {column} {one[column]!r} is not a finite number of at least 0")
    value = one["value"]
    status = "error" if value is None else "skipped" if math.isnan(value) else "ok"
    return {**one, "samples": samples(name, one["samples"]), "status": status}


def samples(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not (isinstance(values, list) and all(map(schema.finite, values))):
        raise Malformed(f"{name}: samples {values!r:.60} are not numbers")
    return tuple(map(float, values)) or None


@cache
def _identity(name: str, params: tuple[str, ...]) -> Record:
    """The loss, which is the benchmark file's stem, and the parameters by name: the same at every commit."""
    values = [one.strip("'\"") for one in params]
    if name.startswith("loading."):
        dataset, settings = values[0] if values else None, dict(zip(LOADING_PARAMETERS[1:], values[1:], strict=False))
        return {"dataset": dataset, "scenario": settings}
    if len(params) != len(LOSS_PARAMETERS):
        return {}
    named = {"loss": name.split(".")[0], **dict(zip(LOSS_PARAMETERS, values, strict=True))}
    _require_fields(named, NAMED, f"{name}: ")
    return named


def _require_fields(record: Record, fields: schema.Fields, where: str = "") -> None:
    if what := schema.fault(record, fields):
        raise Malformed(f"{where}{what}")


def side_record(kind: str, record: Any) -> Record:
    """A line of the side-cars of any kind but rows, unchanged except for its time."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    _require_fields(record, SIDE_CARS[kind])
    if kind == "sessions":
        return {**record, "began_at": time(record.get("began_at"), "began_at")}
    return dict(record)


def document(name: str, data: Any) -> Record:
    """A JSON file of a machine, checked with the objects of its lists."""
    require(isinstance(data, dict), f"is {type(data).__name__}, expected a JSON object")
    _require_fields(data, DOCUMENTS[name])
    for part, fields in PARTS.get(name, {}).items():
        for number, one in enumerate(data.get(part) or [], start=1):
            _require_fields(one, fields, f"{part} {number}: ")
    if name == "loaders-selftest.json":
        _require_counts(data)
    return dict(data)


def _require_counts(data: Record) -> None:
    """The parts that are counted need what is counted."""
    for part, counted in {"bottlenecks": "named", "budget": "kept"}.items():
        one = data.get(part)
        if one:
            right = schema.COUNT.allows(one.get(counted)) and isinstance(one.get("runs"), list)
            require(right, f"{part}: lacks {counted!r} or 'runs'")
    for one in data.get("trainings") or []:
        require(schema.finite(one.get("error")), f"trainings: 'error' is {one.get('error')!r:.60}, expected number")
    for one in data.get("search") or []:
        right = all(schema.finite(run.get("of_best")) for run in one.get("runs") or [])
        require(right, "search: a run lacks 'of_best'")


def side_row(record: Any) -> Record:
    """A line of rows.jsonl, flat: the fields of `agreement` and what follows from `rounds` become fields of it."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    for key, kind in {"benchmark": str, "params": list}.items():
        require(isinstance(record.get(key), kind), f"{key!r} is {record.get(key)!r:.60}, expected {kind.__name__}")
    name, params = record["benchmark"], tuple(map(str, record["params"]))
    version = record.get("format", 1)
    require(version in range(1, NEWEST + 1), f"{name}: format {version!r:.20} is unknown; known are 1 to {NEWEST}")
    _require_fields(record, schema.LOADER_ROW if name.startswith("loading.") else schema.ROW, f"{name}: ")
    identity = _identity(name, params)
    for key in set(identity) & set(record) & {"loss", *LOSS_PARAMETERS}:
        require(
            record[key] in (identity[key], None), f"{name}: {key!r} is {record[key]!r}, but its name says otherwise"
        )
    agreement = record.get("agreement") or {}
    _require_fields(agreement, schema.AGREEMENT, f"{name}: agreement: ")
    fields = {**identity, **agreement, **record, "params": params}
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
        _require_fields(one, schema.ROUND, f"{name}: round {one.get('number')!r:.20}: ")
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
        unit = "ms" if schema.number(value) and value > 1e11 else "s"
        stamp = pd.Timestamp(value, unit=unit) if schema.number(value) else pd.Timestamp(str(value))
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{what} {value!r:.60} is not a time") from error
    require(not pd.isna(stamp), f"{what} {value!r:.60} is not a time")
    require(stamp > EARLIEST, f"{what} {stamp} is before {EARLIEST:%Y}")
    require(stamp < pd.Timestamp.now(tz="UTC") + AHEAD, f"{what} {stamp} is in the future")
    return stamp
