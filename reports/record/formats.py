"""One file or line of `results/`, checked against its format: JSON values in, flat records out.

Pure: `reader` opens the files. Whatever a format does not allow raises `Malformed` with the reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pandas as pd

from reports.record.rounds import over_session
from reports.record.rows import LOADING_PARAMETERS, LOSS_PARAMETERS

Record = dict[str, Any]

FORMAT = 2  # asv.results.Results.api_version
TEXTS = (
    *("loss", *LOSS_PARAMETERS, "case", "status", "reason", "level", "ceiling_name", "manifest", "id"),
    *("kind", "dataset", "verdict", "argument", "advice"),
    *("row", "environment", "before", "again", "moved_to", "event", "text", "session", "grid"),
)
TEXT = (str, type(None))
NEEDED = {
    "manifest": ("id",),
    "conformance": ("loss", "case", "implementation", "device", "dtype", "status"),
    "loaders": ("dataset", "kind"),
    "changes": ("commit",),
    "sessions": ("session",),
}
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
        if one[column] is not None and not _number(one[column]):
            raise Malformed(f"{name}: {column} {one[column]!r} is not a number")
    value = one["value"]
    status = "error" if value is None else "skipped" if math.isnan(value) else "ok"
    return {**one, "samples": samples(name, one["samples"]), "status": status}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def samples(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not (isinstance(values, list) and all(map(_number, values))):
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
    return {"loss": name.split(".")[0], **dict(zip(LOSS_PARAMETERS, values, strict=True))}


def require_texts(record: Record) -> None:
    """Fields that tables group and link by have to be text where they are given."""
    for key in TEXTS:
        if not isinstance(record.get(key), TEXT):
            raise Malformed(f"{key!r} is {record.get(key)!r:.60}, expected text")


def side_record(kind: str, record: Record) -> Record:
    """A line of the other side-cars, unchanged: only the fields that identify it are checked."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    for key in NEEDED[kind]:
        require(isinstance(record.get(key), str), f"{key!r} is {record.get(key)!r:.60}, expected text")
    require_texts(record)
    stands = record.get("stands")
    require(isinstance(stands, bool | None), f"'stands' is {stands!r:.60}, expected true or false")
    if kind == "sessions":
        return record | {"began_at": time(record.get("began_at"), "began_at")}
    return record


def side_row(record: Record) -> Record:
    """A line of rows.jsonl, flat: the fields of `agreement` and what follows from `rounds` become fields of it."""
    require(isinstance(record, dict), f"is {type(record).__name__}, expected a JSON object")
    for key, kind in {"benchmark": str, "params": list}.items():
        require(isinstance(record.get(key), kind), f"{key!r} is {record.get(key)!r}, expected {kind.__name__}")
    name, params = record["benchmark"], tuple(map(str, record["params"]))
    require_texts(record)
    agreement = record.get("agreement") or {}
    require(isinstance(agreement, dict), f"{name}: agreement is {type(agreement).__name__}, expected an object")
    fields = {**_identity(name, params), **agreement, **record, "params": params}
    fields["reason"] = record.get("reason") or agreement.get("reason")
    fields["samples"] = samples(name, record.get("samples"))
    fields["started_at"] = time(record.get("started_at"), f"{name}: started_at")
    fields |= _of_rounds(name, record) if "rounds" in record else _of_one_process(fields)
    return {key: value for key, value in fields.items() if value is not None and key not in ("agreement", "rounds")}


def _of_rounds(name: str, record: Record) -> Record:
    found = record["rounds"]
    require(isinstance(found, list), f"{name}: rounds is {type(found).__name__}, expected a list")
    for one in found:
        require(isinstance(one, dict) and _is_round(one), f"{name}: {one!r:.60} is not a round")
    return over_session(found, record.get("status"), record.get("traffic"))


def _is_round(one: Record) -> bool:
    return (
        isinstance(one.get("number"), int)
        and _positive(one.get("seconds"))
        and isinstance(one.get("busy"), str)
        and all(one.get(key) is None or _number(one[key]) for key in ("ceiling", "calls"))
    )


def _positive(value: Any) -> bool:
    return _number(value) and 0 < value < math.inf


def _of_one_process(fields: Record) -> Record:
    """A loss that was measured in one process (format 1) beside other processes is disturbed, as its rounds would be.

    Loaders start processes of their own, which such a row counts as others.
    """
    busy = fields.get("busy")
    if fields.get("status") != "ok" or not isinstance(busy, str) or not busy or "loss" not in fields:
        return {}
    return {"status": "disturbed", "reason": busy}


def time(value: Any, what: str) -> pd.Timestamp | None:
    """asv writes milliseconds since 1970; the side-cars seconds or ISO 8601.

    >>> time(1_700_000_000_000, "date") == time(1_700_000_000, "date") == time("2023-11-14T22:13:20Z", "date")
    True
    """
    if value is None:
        return None
    try:
        unit = "ms" if _number(value) and value > 1e11 else "s"
        stamp = pd.Timestamp(value, unit=unit) if _number(value) else pd.Timestamp(str(value))
        return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{what} {value!r} is not a time") from error
