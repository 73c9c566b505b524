"""The archive's tables: stored records as rows of columns, and back without loss.

A field that has a column is stored there; whatever the columns cannot give back exactly (a field without a column, an
explicit null, a value that a column would round) is kept as JSON in `other`. So every record comes out as it went in,
field by field; `python -m reports record check` proves it for the whole archive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from reports.record import kinds, schema
from reports.record.formats import CASE, SIDE_CARS, text
from reports.record.reader import Contents, Line
from reports.record.rows import LOSS_PARAMETERS, name_of
from reports.record.schema import Record
from reports.record.summary import SUMMARY

TEXT, REAL, WHOLE, TIME = pa.string(), pa.float64(), pa.int64(), pa.timestamp("us", "UTC")
REALS = pa.list_(REAL)
ROUND = pa.struct(
    [
        *((name, WHOLE) for name in ("number", "position", "calls")),
        *((name, REAL) for name in ("seconds", "precision", "warmup_seconds", "first_call_seconds", "ceiling")),
        *((name, TEXT) for name in ("stop", "busy", "started_at", "beside")),
        ("samples", REALS),
    ]
)
RUN = ["env", "commit"]  # with the machine, which is in the path of the file, and the stem's two parts
IDENTITY = ["loss", *LOSS_PARAMETERS]
MEASURED = ["value", "low", "high", "share", "share_low", "share_high", "ceiling"]  # differ in every session
SAME = [  # mostly the same in every session of a series
    "number", "threads", "traffic", "peak_bytes", "saved_bytes", "value_max_rel", "value_mean_rel", "value_ulp",
    "grad_max_rel", "grad_mean_rel", "grad_ulp",
]  # fmt: skip
WORDS = [
    "status", "reason", "verdict", "stop", "busy", "ceiling_name", "level", "manifest", "version", "python", "dataset",
    "kind",
]  # fmt: skip
ROWS = pa.schema(
    [
        *((name, TEXT) for name in (*RUN, "session", "row", "benchmark")),
        ("params", pa.list_(TEXT)),
        *((name, TEXT) for name in (*IDENTITY, *WORDS)),
        *((name, REAL) for name in (*MEASURED, *SAME)),
        ("date", TIME),
        ("started_at", TIME),
        ("line", pa.int32()),  # of the side-car; negative for what only asv has
        ("rounds", pa.list_(ROUND)),
        ("samples", REALS),
        ("quantiles", REALS),  # of all samples, where these were compacted
        ("other", TEXT),
    ]
)
ASV = pa.schema(
    [
        *((name, TEXT) for name in (*RUN, "benchmark", "version")),
        *(("started_at", WHOLE), ("duration", REAL), ("result", REALS)),
        *(("samples", pa.list_(REALS)), ("calls", pa.list_(WHOLE)), ("other", TEXT)),
    ]
)
CONFORMANCE = pa.schema([*((name, TEXT) for name in (*RUN, *CASE, "other")), ("line", pa.int32())])
KEYED = pa.schema(
    [*((name, TEXT) for name in (*RUN, "key", "record")), ("line", pa.int32())]
)  # records as JSON, with the name they go by
RUNS = pa.schema([*((name, TEXT) for name in (*RUN, "digest", "header")), ("date", TIME)])
PROBLEMS = pa.schema([(name, TEXT) for name in ("stem", "place", "what")])
TABLES = {
    "rows": ROWS,
    "asv": ASV,
    "runs": RUNS,
    **{car.table: KEYED for car in SIDE_CARS.values() if car.table},
    "documents": KEYED,
    "conformance": CONFORMANCE,
    "problems": PROBLEMS,
    "summary": SUMMARY,
}
CHANGES = pa.schema(
    [*((name, TEXT) for name in ("machine", "env", "row", "commit", "before")), ("ratio", REAL), ("confidence", REAL)]
)
SORTED = {
    "rows": ["row", "env", "date", "commit", "session", "line"],
    "summary": ["env", "commit", "session"],
}
AGREEMENT = [name for name in schema.AGREEMENT if name != "reason"]
DERIVED = (*MEASURED, "number", "busy")  # from rounds, where there are rounds
WHOLES = ("threads", "traffic", "peak_bytes", "saved_bytes")  # columns of numbers that records have without a point
JOINED = ("version", "python")  # asv's
HELD = ("benchmark", *IDENTITY, *SAME, *MEASURED, *WORDS, "session")  # columns that are a field of the record


def tables(contents: Contents, digest: str) -> dict[str, list[Record]]:
    """The rows of every table that the contents of a unit give."""
    stem = contents.unit.stem
    run = {"commit": stem[:8], "env": stem[9:]} if stem else {"commit": "", "env": ""}
    found: dict[str, list[Record]] = {
        car.table: [run | _keyed(line.held[car.key], line.held, line.number) for line in contents.lines[kind]]
        for kind, car in SIDE_CARS.items()
        if car.table
    }
    documents = contents.documents.items()
    header = text(contents.header) if contents.header else None
    return found | {
        "rows": _numbered(contents.joined()),
        "asv": [run | {"benchmark": name} | _cells(contents.header, cells) for name, cells in contents.cells.items()],
        "conformance": [{**run, **line.read, "line": line.number} for line in contents.lines["conformance"]],
        "documents": [run | _keyed(name, one, 0) for name, one in documents],
        "runs": [run | {"digest": digest, "header": header, "date": contents.date}],
        "problems": [{"stem": stem, "place": one.place, "what": one.what} for one in contents.problems],
    }


def _numbered(joined: list[tuple[Record, Line | None]]) -> list[Record]:
    """Rows with the number of their line; those that only asv has are before all lines, in its order."""
    alone = sum(line is None for _, line in joined)
    return [row_of(row, line) | ({} if line else {"line": place - alone}) for place, (row, line) in enumerate(joined)]


def _keyed(key: str, record: Record, line: int) -> Record:
    return {"key": key, "record": text(record), "line": line}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; NaN is the same as NaN."""
    return one == other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def row_of(read: Mapping[str, Any], line: Line | None) -> Record:
    """A row of the table from a row as it is read, and the line that holds it."""
    held = line.held if line else {}
    row = {name: read.get(name) for name in ROWS.names if name in read}
    row |= {name: None for name in (*MEASURED, *SAME) if not _known(row.get(name))}
    row |= {"row": name_of(read["benchmark"], read["params"]), "params": list(read["params"])}
    row |= {"line": line.number if line else 0, "rounds": _rounds(held.get("rounds"))}
    row["samples"] = list(read["samples"]) if isinstance(read.get("samples"), tuple) else None
    row["other"] = text(_rest(held, record_of(row))) if line else None
    return row


def _known(value: Any) -> bool:
    """Whether a value is a number; what is not known is null in the archive."""
    return kinds.number(value) and value == value


def _rest(held: Record, rebuilt: Record) -> Record:
    """What the columns do not give back: fields that they lack or change, and under "" those that they add."""
    rest = {name: value for name, value in held.items() if name not in rebuilt or not same(rebuilt[name], value)}
    if isinstance(held.get("agreement"), dict) and "agreement" in rebuilt:
        inner = _rest(held["agreement"], rebuilt["agreement"])
        rest |= {"agreement": inner} if inner else {}
    added = [name for name in rebuilt if name not in held]
    return rest | ({"": added} if added else {})


def _whole(found: Record, rest: Record) -> Record:
    """What the columns gave, with `rest`."""
    added = rest.get("", [])
    whole = {name: value for name, value in found.items() if name not in added}
    if isinstance(rest.get("agreement"), dict) and "agreement" in found:
        rest = rest | {"agreement": _whole(found["agreement"], rest["agreement"])}
    return whole | {name: value for name, value in rest.items() if name}


def record_of(row: Mapping[str, Any]) -> Record:
    """The record that a line held, from a row of the table."""
    rounds = row.get("rounds")
    without = (*JOINED, *(DERIVED if rounds is not None else ()))
    found: Record = {name: row.get(name) for name in HELD if row.get(name) != "" or name in ("reason", "busy")}
    agreement = {name: found.pop(name) for name in AGREEMENT if found.get(name) is not None and "loss" in found}
    if agreement:
        found["agreement"] = agreement | {"reason": ""}
    found = {name: value for name, value in found.items() if value is not None and name not in without}
    found |= {name: int(found[name]) for name in WHOLES if name in found and float(found[name]).is_integer()}
    found["params"] = row["params"]
    if rounds is not None:
        found["rounds"] = [_round(one) for one in rounds]
    if row.get("samples") is not None:
        found["samples"] = row["samples"]
    return _whole(found, json.loads(row["other"]) if row.get("other") else {})


def _rounds(held: Any) -> list[Record] | None:
    """Rounds for their column, None where it cannot hold them."""
    if not isinstance(held, list):
        return None
    found = [{**one, "beside": text(one["beside"]) if one.get("beside") is not None else None} for one in held]
    try:
        stored = pa.array([found], pa.list_(ROUND)).to_pylist()[0]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return list(stored)  # what it lacks of them, `other` has


def _round(one: Mapping[str, Any]) -> Record:
    found = {name: value for name, value in one.items() if value is not None}
    return found | ({"beside": json.loads(found["beside"])} if "beside" in found else {})


def _cells(header: Record, cells: list[Any]) -> Record:
    """asv's list of one benchmark: results, samples and calls as lists, the rest as JSON."""
    named = dict(zip(header["result_columns"], cells, strict=False))
    row: Record = {
        "version": named.get("version"),
        "started_at": named.get("started_at"),
        "duration": named.get("duration"),
        "result": named.get("result"),
        "samples": named.get("samples"),
        "calls": named.get("stats_number"),
    }
    try:
        pa.Table.from_pylist([row], ASV)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return {"other": text({"cells": cells})}
    columns = {"result", "samples", "stats_number", "version", "started_at", "duration"}
    rest = {name: value for name, value in named.items() if name not in columns and value is not None}
    row["other"] = text({"count": len(cells), **rest})
    return row if same(cells_of(header, row), cells) else {"other": text({"cells": cells})}


def cells_of(header: Record, row: Mapping[str, Any]) -> list[Any]:
    """asv's list of one benchmark, from a row of the table."""
    other = json.loads(row["other"])
    if "cells" in other:
        return list(other["cells"])
    named = {**other, **{name: row[name] for name in ("version", "started_at", "duration", "result", "samples")}}
    named["stats_number"] = row["calls"]
    return [named.get(name) for name in header["result_columns"]][: other["count"]]


def case_of(row: Mapping[str, Any]) -> Record:
    """The record of a hard case from a row of the table."""
    found = {name: row[name] for name in CASE if row[name] is not None}
    return found | (json.loads(row["other"]) if row["other"] else {})


def as_table(name: str, rows: Iterable[Record]) -> pa.Table:
    """Rows as an Arrow table in the order of its files."""
    return sort(name, pa.Table.from_pylist(list(rows), TABLES[name]))


def sort(name: str, table: pa.Table) -> pa.Table:
    """A table in the order of its files: a series lies together, so that one is found without reading the others."""
    order = [one for one in SORTED.get(name, [*RUN, "line", "stem", "place"]) if one in table.schema.names]
    return table.sort_by([(one, "ascending") for one in order]).combine_chunks() if table.num_rows else table
