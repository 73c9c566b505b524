"""Many series at once have the change points that each has alone, and continue where they were left."""

from __future__ import annotations

import numpy as np

from reports.statistics.changes import change_points
from reports.statistics.detection import Start, detect


def some_series() -> list[np.ndarray]:
    """Sixty series of 5 to 160 points with up to three steps, and noise of 0.5, 2 or 8 percent."""
    chance, found = np.random.default_rng(0), []
    for _ in range(60):
        one = np.exp(chance.normal(0, chance.choice([0.005, 0.02, 0.08]), chance.integers(5, 160)))
        for _ in range(chance.integers(0, 4)):
            one[chance.integers(0, len(one)) :] *= chance.choice([1.1, 1.3, 0.8])
        found.append(one)
    return found


def test_together_as_alone() -> None:
    """Position, ratio and confidence are those of `change_points`."""
    series = some_series()
    alone = [change_points(one) for one in series]
    assert sum(map(len, alone)) > 40
    assert detect(series, [Start()] * len(series)) == alone


def test_continued_as_at_once() -> None:
    """The first half and then the rest give what the whole gives."""
    series = some_series()
    halves = [len(one) // 2 for one in series]
    first = detect([one[:half] for one, half in zip(series, halves, strict=True)], [Start()] * len(series))
    starts = [Start(half, tuple(found)) for half, found in zip(halves, first, strict=True)]
    assert detect(series, starts) == detect(series, [Start()] * len(series))
