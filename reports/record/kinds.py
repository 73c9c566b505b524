"""What a field of a stored record may hold: sets of values, each with its name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
SHAPE = re.compile(r"\d{1,15}(x\d{1,15}){0,7}")
ROW_STATUSES = (
    "ok", "wrong", "impossible", "disturbed", "unavailable", "error", "skipped", "invalid", "crashed", "timeout",
    "wrong-data",
)  # fmt: skip


class Kind(NamedTuple):
    """A set of values and its name."""

    words: str
    allows: Callable[[Any], bool]


def number(value: Any) -> bool:
    """Whether a value is a number; NaN and infinities are, true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: Any) -> bool:
    """Whether a value is a number that arithmetic can use."""
    return number(value) and abs(value) < 1e300


def _fits(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _all(allows: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(allows, value))


TEXT = Kind("text", lambda value: isinstance(value, str))
NAMED = Kind("name", _fits(NAME))
NAMED_OR_NONE = Kind("name or empty", lambda value: value == "" or NAMED.allows(value))
SIZES = Kind("shape", _fits(SHAPE))
SIZES_OR_NONE = Kind("shape or empty", lambda value: value == "" or SIZES.allows(value))
STATUS = Kind("status", lambda value: value in ROW_STATUSES)
VERDICT = Kind("pass, fail, error or unavailable", lambda value: value in ("pass", "fail", "error", "unavailable"))
REPLAY_VERDICT = Kind(
    "reproduced, not reproduced, inconclusive or not comparable",
    lambda value: value in ("reproduced", "not reproduced", "inconclusive", "not comparable"),
)
WORKS = Kind(
    "works, refuses, fails or not applicable", lambda value: value in ("works", "refuses", "fails", "not applicable")
)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
COUNT = Kind("count", lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62)
NUMBER = Kind("finite number", finite)
POSITIVE = Kind("positive number", lambda value: finite(value) and value > 0)
SIZE = Kind("number, not negative", lambda value: finite(value) and value >= 0)
ERROR = Kind("number, not negative; may be infinite", lambda value: number(value) and (value >= 0 or math.isnan(value)))
SAMPLES = Kind("numbers, not negative", _all(SIZE.allows))
TEXTS = Kind("texts", _all(TEXT.allows))
OBJECT = Kind("object", lambda value: isinstance(value, dict))
OBJECTS = Kind("objects", _all(OBJECT.allows))
LIST = Kind("list", lambda value: isinstance(value, list))
TIME = Kind("time", lambda value: isinstance(value, str) or number(value))
ANY = Kind("any value", lambda value: True)
