"""Share of the ceiling: how close a row comes to what the machine's memory allows. Pure arithmetic.

The traffic of a case is the fewest bytes that it must move, the ceiling the bandwidth that the same process measured
for a copy or a read. Traffic / ceiling is the shortest possible time, and share = shortest possible / measured.
Source: Williams, Waterman and Patterson, "Roofline" (2009); this is its memory-bound branch.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

from lossimpl.ranking import Interval, over_rounds
from reports.record.frames import SESSION

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
    """Add `elements`, `rate` and `rate_low`..`rate_high` (bytes/s) and missing shares."""
    sizes = {shape: float(elements(shape)) for shape in set(map(str, rows["shape"])) if SHAPE.fullmatch(shape)}
    seconds = rows["value"].where(rows["value"] > 0)
    rate = rows["traffic"] / seconds
    return rows.assign(
        elements=rows["shape"].astype(str).map(sizes).astype(float),
        rate=rate,
        rate_low=rows["traffic"] / rows["high"].where(rows["high"] > 0),
        rate_high=rows["traffic"] / rows["low"].where(rows["low"] > 0),
        share=rows["share"].fillna(rate / rows["ceiling"].where(rows["ceiling"] > 0)),
    )


CEILING = [*SESSION, "device", "level", "ceiling_name"]


def pooled_ceilings(rows: pd.DataFrame) -> pd.DataFrame:
    """The ceiling of each session, device, memory level and kind: `CEILING`, `value`, `low`, `high`, `cases`.

    It is the mean over cases of the logarithm, by round, over the rounds that most cases have; cases of one level
    differ in size, so each round's deviation from its case is averaged, not the rounds themselves. Rows of the old
    protocol and disturbed rows have no part in it.
    """
    cases = rows[(rows["status"] == "ok") & rows["ceilings"].map(bool, na_action="ignore").eq(True)]
    cases = cases.drop_duplicates([*CEILING, "loss", "shape", "dtype", "mode"])
    found = [
        dict(zip(CEILING, key, strict=True)) | _pooled(group["ceilings"].tolist())._asdict() | {"cases": len(group)}
        for key, group in cases.groupby(CEILING, sort=False)
    ]
    return pd.DataFrame(found, columns=[*CEILING, "value", "low", "high", "cases"])


def _pooled(by_case: list[dict[int, float]]) -> Interval:
    """One ceiling from those of several cases by round.

    >>> round(_pooled([{1: 10.0, 2: 10.0, 3: 10.0, 4: 10.0}, {1: 40.0, 2: 40.0, 3: 40.0, 4: 40.0}]).value, 6)
    20.0
    """
    logs = pd.DataFrame(by_case).map(math.log, na_action="ignore")
    logs = logs.loc[:, logs.notna().sum() * 2 >= len(logs)]
    centre = logs.mean(axis=1)
    by_round = logs.sub(centre, axis=0).mean() + centre.mean()
    return over_rounds(np.exp(by_round).tolist())
