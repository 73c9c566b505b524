"""Is a number reproduced? Two sets of rounds compared by equivalence, so that neither answer is the default.

Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) on the logarithms: the sets
are the `same` if the 95 % interval of their ratio lies within 1 / (1 + margin) and 1 + margin, `different` if it lies
outside, and otherwise `undecided`. The interval is Student's (Biometrika 6, 1908) with one variance for both sets,
which were measured alike: a set of five says too little about its own. A ratio beyond the margin is called the same in
at most 2.5 % of all comparisons, and one within it is called different in at most 2.5 %, if one looks once.

What slowed down everything in a round is taken out by analysis of covariance (Fisher, Statistical Methods for Research
Workers, 4th ed. 1932): how far a value follows each pace of its round, such as the time of the other implementations
and that of a copy, is estimated from the rounds within each set, and the interval widens with how different the paces
of the two sets were. A value that does not follow, such as one bound by page faults beside a copy bound by the memory,
is then not blamed for that pace.

Pure, like `ranking`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from lossimpl.ranking import Interval, student

MOST_ROUNDS = 200  # beyond which no number of rounds is recommended


class Paced(NamedTuple):
    """The value of a round, and how long other things took in it, each in any unit; the same ones in all rounds."""

    value: float
    paces: tuple[float, ...] = ()


class Answer(NamedTuple):
    """How many times as large the new values are as the stored ones at the same pace, and what follows.

    `verdict` is `same`, `different` or `undecided`; for the last, `rounds` is the number of new rounds that would
    decide if they scattered as these do, or None where no number would. `paces` says how many times as long the other
    things took.
    """

    ratio: Interval
    verdict: str
    rounds: int | None = None
    paces: tuple[float, ...] = ()


class Fit(NamedTuple):
    """The difference of two means at the same paces, in logarithms, and what its interval follows from.

    `scatter` is the standard deviation of a round, `slopes` the number of slopes fitted, `shifts` holds the differences
    of the mean paces, and `distance` is their squared Mahalanobis distance by the sums of squares within the sets.
    """

    difference: float
    scatter: float
    counts: tuple[int, int]
    slopes: int
    shifts: tuple[float, ...]
    distance: float

    def half_width(self, new: int) -> float:
        """Half the width of Student's interval, if there were `new` new rounds."""
        old, freedom = self.counts[0], self.counts[0] + new - 2
        distance = self.distance * (sum(self.counts) - 2) / freedom
        return student(freedom - self.slopes) * self.scatter * math.sqrt(1 / old + 1 / new + distance)


def compared(stored: Sequence[Paced], new: Sequence[Paced], margin: float) -> Answer:
    """Whether positive values of rounds are the same, up to a factor of 1 + `margin`; ValueError for fewer than three.

    >>> def rounds(*values): return [Paced(value) for value in values]
    >>> compared(rounds(1.00, 1.02, 0.98, 1.01), rounds(1.01, 0.99, 1.00, 1.02), margin=0.1).verdict
    'same'
    >>> compared(rounds(1.00, 1.02, 0.98, 1.01), rounds(1.21, 1.19, 1.20, 1.22), margin=0.1).verdict
    'different'
    >>> compared(rounds(1.0, 1.5, 0.8, 1.2), rounds(1.3, 0.9, 1.1, 1.0), margin=0.1)[1:3]
    ('undecided', None)

    Twice the time at twice the pace is the same:

    >>> slow = [Paced(2.00, (4.0,)), Paced(2.21, (4.4,)), Paced(1.80, (3.6,)), Paced(2.41, (4.8,))]
    >>> compared([Paced(time / 2, (pace / 2,)) for time, (pace,) in slow[::-1]], slow, margin=0.1).verdict
    'same'
    """
    if min(len(stored), len(new)) < 3:
        raise ValueError(f"stored, new: expected at least three rounds each, got {len(stored)} and {len(new)}")
    fit, limit = fitted(stored, new), math.log1p(margin)
    reach, distance = fit.half_width(len(new)), abs(abs(fit.difference) - limit)
    ratio = Interval(*(math.exp(fit.difference + end) for end in (0, -reach, reach)))
    paces = tuple(map(math.exp, fit.shifts))
    if reach < distance:
        return Answer(ratio, "same" if abs(fit.difference) < limit else "different", None, paces)
    enough = (count for count in range(len(new) + 1, MOST_ROUNDS + 1) if fit.half_width(count) < distance)
    return Answer(ratio, "undecided", next(enough, None), paces)


def fitted(stored: Sequence[Paced], new: Sequence[Paced]) -> Fit:
    """Least squares on logarithms: a mean per set, and a slope against each pace, 0 for one that is constant."""
    sets = [np.log([[one.value, *one.paces] for one in each]) for each in (stored, new)]
    shift = sets[1].mean(axis=0) - sets[0].mean(axis=0)
    within = np.concatenate([each - each.mean(axis=0) for each in sets]).round(12)  # what is constant is exactly 0
    values, paces = within[:, 0], within[:, 1:]
    slope, _, rank, _ = np.linalg.lstsq(paces, values)
    left = values - paces @ slope
    return Fit(
        difference=float(shift[0] - shift[1:] @ slope),
        scatter=math.sqrt(left @ left / (len(within) - 2 - rank)),
        counts=(len(stored), len(new)),
        slopes=int(rank),
        shifts=tuple(map(float, shift[1:])),
        distance=float(shift[1:] @ np.linalg.pinv(paces.T @ paces) @ shift[1:]),
    )


def paced(times: Mapping[int, float], paces: Sequence[Mapping[int, float]]) -> list[Paced]:
    """The times of the rounds that have all paces too.

    >>> paced({1: 3.0, 2: 5.0, 3: 4.0}, [{1: 1.0, 2: 2.0}, {1: 4.0, 2: 8.0, 3: 1.0}])
    [Paced(value=3.0, paces=(1.0, 4.0)), Paced(value=5.0, paces=(2.0, 8.0))]
    """
    return [
        Paced(time, tuple(one[number] for one in paces))
        for number, time in times.items()
        if all(number in one for one in paces)
    ]


def together(times: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The geometric mean of several times in each round that all of them have.

    >>> together([{1: 1.0, 2: 2.0}, {1: 4.0, 2: 8.0, 3: 1.0}])
    {1: 2.0, 2: 4.0}
    """
    shared = [number for number in times[0] if all(number in one for one in times)] if times else []
    return {number: math.exp(fmean(math.log(one[number]) for one in times)) for number in shared}
