"""Rows from a file, which may be old, cut short or changed by hand: a row is taken whole and valid, or refused.

Every error is a ValueError that names the field, its value and what is allowed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from statistics import median
from typing import Any

from lossimpl.row import FORMAT, Round, Row
from lossimpl.spec import DEVICES, DTYPES, MODES

STATUSES = ("ok", "wrong", "impossible", "disturbed", "unavailable", "error")
CHOICES = {"dtype": DTYPES, "device": DEVICES, "mode": MODES, "status": STATUSES}
NEEDED = ("loss", "implementation", "shape", *CHOICES)
BITS = re.compile(r"[0-9a-f]{16}( [0-9a-f]{2,16})* ?")  # a digest, and elements; an empty tensor has none
ROUNDING = 1e-3  # samples are stored with five digits


def row_of(record: Mapping[str, Any]) -> Row:
    """The row that a record holds.

    >>> row_of({"loss": "mse_loss", "implementation": "torch", "samples": [1.0]})
    Traceback (most recent call last):
    ValueError: format: 1, the samples of one process; without rounds there is no interval between runs
    """
    version = record.get("format", 1)
    if version == 1:
        raise ValueError("format: 1, the samples of one process; without rounds there is no interval between runs")
    if version != FORMAT:
        raise ValueError(f"format: {version!r} is unknown, this version reads {FORMAT}")
    for name in NEEDED:
        _require(isinstance(record.get(name), str), name, record.get(name), "text")
    for name, allowed in CHOICES.items():
        _require(record[name] in allowed, name, record[name], f"one of {', '.join(allowed)}")
    sizes = record["shape"].split("x")
    _require(all(size.isdecimal() for size in sizes), "shape", record["shape"], "numbers joined by x")
    _require(_is_object(record.get("options", {})), "options", record.get("options"), "an object")
    _require(
        _is_agreement(record.get("agreement")), "agreement", record.get("agreement"), "null, or have a verdict and bits"
    )
    _require(type(record.get("seed", 0)) is int, "seed", record.get("seed"), "a whole number")
    _require(isinstance(record.get("maker", ""), str), "maker", record.get("maker"), "text")
    traffic = record.get("traffic", 0)
    _require(_is_number(traffic) and traffic >= 0, "traffic", traffic, "a number of bytes")
    known = {one.name for one in fields(Row)}
    defaults = {"options": {}, "maker": "normal", "seed": 0}
    values = {name: value for name, value in record.items() if name in known}
    return Row(**{**defaults, **values, "rounds": _rounds(record.get("rounds"), record["status"])})


def _rounds(value: Any, status: str) -> tuple[Round, ...]:
    _require(isinstance(value, list | tuple), "rounds", value, "a list")
    found = tuple(_round(f"rounds[{place}]", one) for place, one in enumerate(value))
    if status in ("ok", "disturbed"):
        _require(found, "rounds", value, "at least one round")
    numbers = [one.number for one in found]
    _require(len({*numbers}) == len(numbers), "rounds", numbers, "rounds with different numbers")
    return found


def _round(at: str, value: Any) -> Round:
    names = {one.name for one in fields(Round)}
    _require(_is_object(value), at, value, "an object")
    missing = sorted(names - {"beside"} - {*value})
    _require(not missing, at, f"an object without {', '.join(missing)}", f"an object with {', '.join(sorted(names))}")
    number, seconds, samples, busy = (value[name] for name in ("number", "seconds", "samples", "busy"))
    _require(type(number) is int, f"{at}.number", number, "a whole number")
    _require(_is_positive(seconds), f"{at}.seconds", seconds, "a positive number")
    _require(isinstance(samples, list | tuple) and samples, f"{at}.samples", samples, "a list of at least one number")
    for place, sample in enumerate(samples):
        _require(_is_positive(sample), f"{at}.samples[{place}]", sample, "a positive number")
    middle = median(samples)
    _require(
        math.isclose(seconds, middle, rel_tol=ROUNDING),
        f"{at}.seconds",
        seconds,
        f"the median {middle:g} of its samples",
    )
    _require(_is_positive(value["ceiling"]), f"{at}.ceiling", value["ceiling"], "a positive number of bytes/s")
    _require(isinstance(busy, str), f"{at}.busy", busy, "text")
    return Round(**{name: one for name, one in value.items() if name in names} | {"samples": tuple(samples)})


def _require(holds: object, field: str, value: Any, allowed: str) -> None:
    if not holds:
        text = repr(value)
        raise ValueError(f"{field}: it must be {allowed}, got {text if len(text) < 60 else text[:60] + '...'}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_agreement(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, Mapping) and isinstance(value.get("verdict"), str) and _are_bits(value.get("bits", {}))


def _are_bits(value: Any) -> bool:
    return _is_object(value) and all(
        isinstance(one, Mapping) and BITS.fullmatch(f"{one.get('digest')} {one.get('elements')}")
        for one in value.values()
    )
