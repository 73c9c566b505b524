"""asv's result files, format 2: one per commit and environment, a list of values per benchmark."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from reports.record import kinds
from reports.record.formats import Malformed, Record, identity, require, samples, time

FORMAT = 2  # asv.results.Results.api_version
PER_ROW = {"result": "value", "stats_number": "number"}  # asv's intervals know one process only, and are not read


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
        yield {"benchmark": name, "params": params, **common, **identity(name, params), **measured}


def _per_row(name: str, column: str, by_column: Record, count: int) -> list[Any]:
    values = by_column.get(column)
    if values is None:
        return [None] * count
    require(isinstance(values, list), f"{name}: {column} is {type(values).__name__}, expected a list")
    require(len(values) == count, f"{name}: {len(values)} values of {column} for {count} parameter combinations")
    return list(values)


def _measured(name: str, one: Record) -> Record:
    for column in PER_ROW.values():
        if one[column] is not None and not kinds.number(one[column]):
            raise Malformed(f"{name}: {column} {one[column]!r} is not a number")
        if one[column] is not None and (one[column] < 0 or one[column] == math.inf):
            raise Malformed(f"{name}: {column} {one[column]!r} is not a finite number of at least 0")
    value = one["value"]
    status = "error" if value is None else "skipped" if math.isnan(value) else "ok"
    return {**one, "samples": samples(name, one["samples"]), "status": status}
