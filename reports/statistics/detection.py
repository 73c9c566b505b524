"""The change points of many series at once: `changes.change_points` for a table of levels, point by point.

All series of a machine take one step together, so that a night of thousands of series costs a few sorts. A test
compares every change with that of `change_points`, which explains the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.changes import DELAY, EFFECT, EVIDENCE, LEFT, RIGHT, WINDOW, Change, described

Array = npt.NDArray[np.float64]
MOST = WINDOW + DELAY


@dataclass(frozen=True)
class Start:
    """How many points of a series were seen before, and the changes found among them."""

    points: int = 0
    found: tuple[Change, ...] = ()


def detect(values: Sequence[Array], starts: Sequence[Start], effect: float = EFFECT) -> list[list[Change]]:
    """Every change of every series, in order; of points that were seen before those that were found then."""
    found = [list(one.found) for one in starts]
    lengths = np.array([len(one) for one in values], dtype=int)
    levels = np.zeros((len(values), max(lengths, default=0)))
    for row, one in zip(levels, values, strict=True):
        row[: len(one)] = np.log(one)
    begun = np.array([one.found[-1].position if one.found else 0 for one in starts], dtype=int)
    seen = np.array([one.points for one in starts], dtype=int)
    for end in range(max(LEFT + RIGHT, min(seen, default=0) + 1), max(lengths, default=0) + 1):
        counts = np.minimum(end - begun, MOST) * ((lengths >= end) & (seen < end))
        for count in np.unique(counts[counts >= LEFT + RIGHT]):
            rows = np.flatnonzero(counts == count)
            for place, size in _accepted(levels[rows, end - count : end], effect):
                window, split = levels[rows[place], end - count : end], end - size
                found[rows[place]].append(described(window[:-size], window[-size:], split))
                begun[rows[place]] = split
    return found


def _accepted(levels: Array, effect: float) -> Iterator[tuple[int, int]]:
    """The rows of levels that end with a new one, and how many points the new level has."""
    count = levels.shape[1]
    possible = np.flatnonzero(_possible(levels, effect))
    if not len(possible):
        return
    levels = levels[possible]
    most = min(DELAY, count - LEFT)
    costs = [_deviation(levels[:, :-size]) + _deviation(levels[:, -size:]) for size in range(most, 0, -1)]
    sizes = most - np.argmin(costs, axis=0)  # of equal costs the earliest split
    explained = _deviation(levels) > np.min(costs, axis=0) * np.exp(EVIDENCE / count)
    for place in np.flatnonzero(explained & (sizes >= RIGHT)):
        row, size = levels[place], int(sizes[place])
        if abs(np.median(row[-size:]) - np.median(row[:-size])) > np.log1p(effect):
            yield int(possible[place]), size


def _possible(levels: Array, effect: float) -> npt.NDArray[np.bool_]:
    """Whether any split of a row can differ enough.

    The median of at least RIGHT of the last DELAY points lies between their third smallest and third largest, and so
    does that of at least LEFT of the points before the last RIGHT.
    """
    right, left = np.sort(levels[:, -DELAY:], axis=1), np.sort(levels[:, :-RIGHT], axis=1)
    third = (min(LEFT, RIGHT) + 1) // 2 - 1
    up, down = right[:, -1 - third] - left[:, third], left[:, -1 - third] - right[:, third]
    return np.asarray(np.maximum(up, down) > np.log1p(effect))


def _deviation(levels: Array) -> Array:
    """The sum of absolute deviations from the median of each row: the upper half less the lower one."""
    ordered, half = np.sort(levels, axis=1), levels.shape[1] // 2
    return np.asarray(ordered[:, levels.shape[1] - half :].sum(axis=1) - ordered[:, :half].sum(axis=1))
