"""What is known of a series after some commits, from what was known before them: pure, and the same in any steps.

A state has the newest points, as many as change detection looks back, and everything that was found before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reports.statistics.changes import Change
from reports.statistics.detection import MOST, Start, detect

Record = dict[str, Any]
IDENTITY = ["benchmark", "params", "loss", "implementation", "shape", "dtype", "device", "mode"]
POINT = pa.struct(
    [(name, pa.string()) for name in ("commit", "version")]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
)
CHANGE = pa.struct(
    [
        ("position", pa.int64()),
        ("commit", pa.string()),
        ("before", pa.string()),
        ("ratio", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [(name, pa.list_(pa.string()) if name == "params" else pa.string()) for name in ("env", "row", *IDENTITY)]
    + [("points", pa.int64()), ("rounded", pa.bool_()), ("newest", pa.timestamp("us", "UTC"))]
    + [("first", pa.string()), ("last", pa.string()), ("changes", pa.list_(CHANGE)), ("before", POINT), ("now", POINT)]
    + [("tail", pa.list_(pa.float64())), ("tail_commits", pa.list_(pa.string()))]
)
UNKNOWN: Record = {"points": 0, "tail": [], "tail_commits": [], "changes": [], "before": None, "now": None, "first": ""}


class Points(NamedTuple):
    """Some points of a series, oldest first, as columns; `low` and `high` are NaN where there is no interval."""

    commit: npt.NDArray[Any]
    version: npt.NDArray[Any]
    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def part(self, start: int, end: int) -> Points:
        """The points from `start` to before `end`."""
        return Points(*(column[start:end] for column in self))

    def ranked(self) -> list[Record]:
        """The last two points that have an interval."""
        places = np.flatnonzero(~np.isnan(self.low) & ~np.isnan(self.high))[-2:]
        return [dict(zip(self._fields, (column[place] for column in self), strict=True)) for place in places]


def continued(before: Iterable[Record], fresh: Iterable[tuple[Record, Points]]) -> list[Record]:
    """The states of all series, of those that have `fresh` points after these."""
    known = {(one["env"], one["row"]): one for one in before}
    begun = [(_joined(known.pop((name["env"], name["row"]), None), name), points) for name, points in fresh]
    moved = [(one, points if one["rounded"] == rounded else points.part(0, 0)) for (one, rounded), points in begun]
    values = [np.append(np.array(one["tail"], dtype=float), points.value) for one, points in moved]
    found = detect(values, [Start(len(one["tail"]), _last(one)) for one, _ in moved])
    return [*known.values(), *(_after(*one, changes) for one, changes in zip(moved, found, strict=True))]


def _joined(known: Record | None, name: Record) -> tuple[Record, bool]:
    """What is known of a series that has more points, and whether these were measured in rounds.

    A time of one process is another quantity: rounds replace all such points, and none is added after them.
    """
    if known is None or (name["rounded"] and not known["rounded"]):
        return UNKNOWN | name, name["rounded"]
    newest = max((one["newest"] for one in (known, name) if one["newest"] is not None), default=None)
    return known | {"newest": newest}, name["rounded"]


def _last(one: Record) -> tuple[Change, ...]:
    """The last change that is known, by its place in the tail."""
    offset = one["points"] - len(one["tail"])
    return tuple(Change(last["position"] - offset, last["ratio"], last["confidence"]) for last in one["changes"][-1:])


def _after(one: Record, points: Points, changes: list[Change]) -> Record:
    """A series with more points, and with the changes that were found from its last known one on."""
    if not len(points.value):
        return one
    offset, commits = one["points"] - len(one["tail"]), [*one["tail_commits"], *points.commit]
    fresh = [
        vars(change)
        | {"position": change.position + offset}
        | {"commit": commits[change.position], "before": commits[change.position - 1]}
        for change in changes[len(_last(one)) :]
    ]
    return one | {
        "points": one["points"] + len(points.value),
        "first": one["first"] or commits[0],
        "last": commits[-1],
        "tail": [*one["tail"], *points.value][-MOST:],
        "tail_commits": commits[-MOST:],
        "changes": [*one["changes"], *fresh],
        **_pair(one, points.ranked()),
    }


def _pair(one: Record, fresh: list[Record]) -> Record:
    """The last two points with intervals; the first of them only if it has the version of the last."""
    last = [*([one["now"]] if one["now"] else []), *fresh][-2:]
    if not fresh:
        return {}
    same = len(last) > 1 and last[0]["version"] == last[1]["version"]
    return {"now": last[-1], "before": last[0] if same else None}
