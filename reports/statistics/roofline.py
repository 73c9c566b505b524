"""Share of the ceiling: how close a row comes to what the machine's memory allows. Pure arithmetic.

The traffic of a case is the fewest bytes that it must move, the ceiling the bandwidth that the same process measured
for a copy or a read. Traffic / ceiling is the shortest possible time, and share = shortest possible / measured.
Source: Williams, Waterman and Patterson, "Roofline" (2009); this is its memory-bound branch.
"""

from __future__ import annotations

import math
import re

import pandas as pd

SHAPE = re.compile(r"\d{1,15}(x\d{1,15})*")


def elements(shape: str) -> int:
    """Number of elements of a shape as people write it.

    >>> elements("512x32000"), elements("16777216"), elements("0x10")
    (16384000, 16777216, 0)
    """
    if not SHAPE.fullmatch(shape):
        raise ValueError(f"shape: {shape!r}; expected sizes joined by x, such as 512x32000")
    return math.prod(int(size) for size in shape.split("x"))


def with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `elements`, `rate` and `rate_low`..`rate_high` (bytes/s), `element_rate` (1/s) and missing shares."""
    rows = rows.copy()
    seconds = rows["value"].where(rows["value"] > 0)
    rows["elements"] = [
        float(elements(str(shape))) if SHAPE.fullmatch(str(shape)) else math.nan for shape in rows["shape"]
    ]
    rows["rate"] = rows["traffic"] / seconds
    rows["rate_low"] = rows["traffic"] / rows["high"].where(rows["high"] > 0)
    rows["rate_high"] = rows["traffic"] / rows["low"].where(rows["low"] > 0)
    rows["element_rate"] = rows["elements"] / seconds
    rows["share"] = rows["share"].fillna(rows["rate"] / rows["ceiling"].where(rows["ceiling"] > 0))
    return rows
