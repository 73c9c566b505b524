"""Agreement, peak memory and saved bytes of both revisions, row by row, from the side-cars that their benchmarks wrote.

Bytes repeat exactly, and so do errors against the reference on one machine, so a change needs no statistics, only a
margin below which it has no meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lossimpl import wording
from reports.gate.outcome import Change
from reports.record.lines import objects
from reports.record.rows import Row

Record = dict[str, Any]

WRONG = ("wrong", "wrong-data")  # status of a record that disagrees with the reference or delivers other samples

ERRORS = {
    "value_max_rel": "largest relative error of the value",
    "value_mean_rel": "mean relative error of the value",
    "grad_max_rel": "largest relative error of the gradient",
    "grad_mean_rel": "mean relative error of the gradient",
}
BYTES = {"peak_bytes": "peak memory", "saved_bytes": "bytes saved for backward"}
GREW = 2.0  # times as large an error; another order of summation alone changes less
ROUNDING = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}
HARMLESS_ROUNDINGS = 4  # an error of a few units in the last place may double
BYTES_GREW = 1.01
BYTES_HARMLESS = 4096  # a page


def records(path: Path) -> dict[Row, Record]:
    """The last record of each row in a side-car; what identifies no row is skipped."""
    found = {}
    for record in objects(path):
        with suppress(KeyError, SyntaxError, TypeError, ValueError):
            found[Row.of(record)] = record
    return found


def changes(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[Change, ...]:
    """What became worse or better between two records of one row, except for the time.

    >>> [one.what for one in changes({"peak_bytes": 10_000}, {"peak_bytes": 20_000})]
    ['peak_bytes']
    """
    return (*_errors(base, head), *_bytes(base, head))


def _errors(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Change]:
    if base.get("status") == "ok" and head.get("status") == "wrong-data":
        yield Change("data", None, None, True, f"delivered correct samples, now wrong: {head.get('reason')}")
        return
    before, after = base.get("agreement") or {}, head.get("agreement") or {}
    if before.get("verdict") == "ok" and after.get("verdict") == "wrong":
        yield Change("agreement", None, None, True, f"agreed with the reference, now wrong: {after.get('reason')}")
        return
    harmless = HARMLESS_ROUNDINGS * ROUNDING.get(str(head.get("dtype")), 0.0)
    for field, text in ERRORS.items():
        old, new = before.get(field), after.get(field)
        if old is None or new is None or max(old, new) <= harmless:
            continue
        if max(old, new) > GREW * min(old, new):
            yield Change(field, old, new, new > old, f"{text}: {wording.error(old)} -> {wording.error(new)}")


def _bytes(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[Change]:
    for field, text in BYTES.items():
        old, new = base.get(field), head.get(field)
        if old is None or new is None or abs(new - old) <= BYTES_HARMLESS:
            continue
        if max(old, new) > BYTES_GREW * min(old, new):
            yield Change(field, old, new, new > old, f"{text}: {old:,} -> {new:,} bytes")
