"""Agreement, peak memory and saved bytes of both revisions, row by row, from the side-cars that their benchmarks wrote.

None of them is a time. Bytes repeat exactly, and so does an error against the oracle on one machine, so that a change
needs no statistics: only a margin for what has no meaning.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reports.gate.outcome import Change
from reports.gate.rows import Row

Record = dict[str, Any]

WRONG = ("wrong", "wrong-data")  # a record's status: it disagrees with the oracle, or a loader delivers other samples

ERRORS = {
    "value_max_rel": "largest relative error of the value",
    "value_mean_rel": "mean relative error of the value",
    "grad_max_rel": "largest relative error of the gradient",
    "grad_mean_rel": "mean relative error of the gradient",
}
BYTES = {"peak_bytes": "peak memory", "saved_bytes": "bytes saved for backward"}
GREW = 2.0  # an error twice as large: another order of summation alone stays below
ROUNDING = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}
HARMLESS_ROUNDINGS = 4  # an error of a few units in the last place may double without meaning anything
BYTES_GREW = 1.01
BYTES_HARMLESS = 4096  # a page


def records(path: Path) -> dict[Row, Record]:
    """The last record of each row in a side-car; a line that a crash cut short is passed over."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
            found[Row(record["benchmark"], tuple(map(ast.literal_eval, record["params"])))] = record
        except (KeyError, SyntaxError, TypeError, ValueError):  # of a line of JSON too
            continue
    return found


def changes(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[Change, ...]:
    """What became worse or better between two records of one row, times apart.

    >>> [one.what for one in changes({"peak_bytes": 10_000}, {"peak_bytes": 20_000})]
    ['peak_bytes']
    """
    return (*_errors(base, head), *_bytes(base, head))


def _errors(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Change]:
    if base.get("status") == "ok" and head.get("status") == "wrong-data":
        yield Change("data", None, None, True, f"delivered the right samples, now wrong: {head.get('reason')}")
        return
    before, after = base.get("agreement") or {}, head.get("agreement") or {}
    if before.get("verdict") == "ok" and after.get("verdict") == "wrong":
        yield Change("agreement", None, None, True, f"agreed with the oracle, now wrong: {after.get('reason')}")
        return
    harmless = HARMLESS_ROUNDINGS * ROUNDING.get(str(head.get("dtype")), 0.0)
    for field, text in ERRORS.items():
        old, new = before.get(field), after.get(field)
        if old is None or new is None or max(old, new) <= harmless:
            continue
        if max(old, new) > GREW * min(old, new):
            yield Change(field, old, new, new > old, f"{text}: {old:.2g} -> {new:.2g}")


def _bytes(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Change]:
    for field, text in BYTES.items():
        old, new = base.get(field), head.get(field)
        if old is None or new is None or abs(new - old) <= BYTES_HARMLESS:
            continue
        if max(old, new) > BYTES_GREW * min(old, new):
            yield Change(field, old, new, new > old, f"{text}: {old:,} -> {new:,} bytes")
