"""Is a number reproduced? Two sets of rounds compared by equivalence, so that neither answer is the default.

Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) on the logarithms: the sets
are the `same` if the 95 % interval of their ratio lies within 1 / (1 + margin) and 1 + margin, `different` if it lies
outside, and otherwise `undecided`. The interval is Student's (Biometrika 6, 1908) with one variance for both sets,
which were measured alike: a set of five says too little about its own.
A ratio beyond the margin is called the same in at most 2.5 % of all comparisons, and one within it is called different
in at most 2.5 %. Someone who looks twice, after some rounds and again after more, doubles both.

Pure, like `ranking`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, variance
from typing import NamedTuple

from lossimpl.ranking import Interval, student

MOST_ROUNDS = 200  # beyond which no number of rounds is recommended


class Answer(NamedTuple):
    """How many times as large the new values are as the stored ones, and what follows.

    `verdict` is `same`, `different` or `undecided`; for the last, `rounds` is the number of new rounds that would
    decide if they scattered as these do, or None where no number would.
    """

    ratio: Interval
    verdict: str
    rounds: int | None = None


def compared(stored: Sequence[float], new: Sequence[float], margin: float) -> Answer:
    """Whether positive values of rounds are the same, up to a factor of 1 + `margin`; ValueError for fewer than two.

    >>> compared([1.00, 1.02, 0.98, 1.01], [1.01, 0.99, 1.00, 1.02], margin=0.1).verdict
    'same'
    >>> compared([1.00, 1.02, 0.98, 1.01], [1.21, 1.19, 1.20, 1.22], margin=0.1).verdict
    'different'
    >>> compared([1.0, 1.5, 0.8, 1.2], [1.3, 0.9, 1.1, 1.0], margin=0.1)[1:]
    ('undecided', None)
    """
    if min(len(stored), len(new)) < 2:
        raise ValueError(f"stored, new: expected at least two rounds each, got {len(stored)} and {len(new)}")
    old, fresh = ([math.log(value) for value in values] for values in (stored, new))
    difference, limit = fmean(fresh) - fmean(old), math.log1p(margin)
    scatter = math.sqrt(
        ((len(old) - 1) * variance(old) + (len(fresh) - 1) * variance(fresh)) / (len(old) + len(fresh) - 2)
    )
    reach = half_width(scatter, len(old), len(fresh))
    ratio = Interval(math.exp(difference), math.exp(difference - reach), math.exp(difference + reach))
    distance = abs(abs(difference) - limit)
    if reach < distance:
        return Answer(ratio, "same" if abs(difference) < limit else "different")
    enough = (
        count for count in range(len(fresh) + 1, MOST_ROUNDS + 1) if half_width(scatter, len(old), count) < distance
    )
    return Answer(ratio, "undecided", next(enough, None))


def half_width(scatter: float, count: int, other: int) -> float:
    """Half the width of Student's interval for the difference of two means, from their scatter and their counts."""
    return student(count + other - 2) * scatter * math.sqrt(1 / count + 1 / other)


def paces(controls: Iterable[Mapping[int, float]], typical: Iterable[float]) -> dict[int, float]:
    """How slow everything ran in each round: the median over controls of their time over what is typical of each.

    Only rounds that all controls have count. A time divided by the pace of its round is free of what slowed all.

    >>> paces([{1: 2.0, 2: 4.0}, {1: 10.0, 2: 22.0}, {1: 3.0, 2: 6.0}], typical=[2.0, 10.0, 3.0])
    {1: 1.0, 2: 2.0}
    """
    times = list(controls)
    shared = set.intersection(*(set(one) for one in times)) if times else set()
    scales = list(typical)
    return {
        number: median(one[number] / scale for one, scale in zip(times, scales, strict=True))
        for number in sorted(shared)
    }
