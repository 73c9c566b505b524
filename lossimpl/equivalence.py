"""Is a number reproduced? Two sets of rounds compared by equivalence, so that neither answer is the default.

Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) on the logarithms: the sets
are the `same` if the 95 % interval of their ratio lies within 1 / (1 + margin) and 1 + margin, `different` if it lies
outside, and otherwise `undecided`. The interval is Student's (Biometrika 6, 1908) with one variance for both sets,
which were measured alike: a set of five says too little about its own. A ratio beyond the margin is called the same in
at most 2.5 % of all comparisons, and one within it is called different in at most 2.5 %, if one looks once.

What slowed down everything in a round is taken out by analysis of covariance (Fisher, Statistical Methods for Research
Workers, 4th ed. 1932): how far a value follows the pace of its round is estimated from the rounds within each set, and
the interval widens with how different the paces of the two sets were. A value that does not follow, such as one bound
by page faults beside one bound by the memory, is then not blamed for the pace of the other.

Pure, like `ranking`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from lossimpl.ranking import Interval, student

MOST_ROUNDS = 200  # beyond which no number of rounds is recommended


class Paced(NamedTuple):
    """The value of a round, and how long everything else took in it, in any unit; a constant if there is nothing."""

    value: float
    pace: float = 1.0


class Answer(NamedTuple):
    """How many times as large the new values are as the stored ones at the same pace, and what follows.

    `verdict` is `same`, `different` or `undecided`; for the last, `rounds` is the number of new rounds that would
    decide if they scattered as these do, or None where no number would. `pace` is how many times as long everything
    else took.
    """

    ratio: Interval
    verdict: str
    rounds: int | None = None
    pace: float = 1.0


class Fit(NamedTuple):
    """The difference of two means at the same pace, in logarithms, and what its interval follows from.

    `scatter` is the standard deviation of a round, `slopes` the number of slopes fitted to the pace (0 or 1), `shift`
    the difference of the mean paces, and `spread` their sum of squares within the sets.
    """

    difference: float
    scatter: float
    counts: tuple[int, int]
    slopes: int
    shift: float
    spread: float

    def half_width(self, new: int) -> float:
        """Half the width of Student's interval, if there were `new` new rounds."""
        old, freedom = self.counts[0], self.counts[0] + new - 2
        variance = 1 / old + 1 / new
        if self.slopes:
            variance += self.shift**2 / (self.spread * freedom / (sum(self.counts) - 2))
        return student(freedom - self.slopes) * self.scatter * math.sqrt(variance)


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

    >>> slow = [Paced(2.00, 4.0), Paced(2.21, 4.4), Paced(1.80, 3.6), Paced(2.41, 4.8)]
    >>> compared([Paced(time / 2, pace / 2) for time, pace in slow[::-1]], slow, margin=0.1).verdict
    'same'
    """
    if min(len(stored), len(new)) < 3:
        raise ValueError(f"stored, new: expected at least three rounds each, got {len(stored)} and {len(new)}")
    fit, limit = fitted(stored, new), math.log1p(margin)
    reach, distance = fit.half_width(len(new)), abs(abs(fit.difference) - limit)
    ratio = Interval(*(math.exp(fit.difference + end) for end in (0, -reach, reach)))
    if reach < distance:
        return Answer(ratio, "same" if abs(fit.difference) < limit else "different", None, math.exp(fit.shift))
    enough = (count for count in range(len(new) + 1, MOST_ROUNDS + 1) if fit.half_width(count) < distance)
    return Answer(ratio, "undecided", next(enough, None), math.exp(fit.shift))


def fitted(stored: Sequence[Paced], new: Sequence[Paced]) -> Fit:
    """Least squares on logarithms: a mean per set, and one slope against the pace if the paces differ within a set."""
    sets = [[(math.log(one.value), math.log(one.pace)) for one in each] for each in (stored, new)]
    means = [(fmean(value for value, _ in each), fmean(pace for _, pace in each)) for each in sets]
    centred = [(y - my, x - mx) for each, (my, mx) in zip(sets, means, strict=True) for y, x in each]
    spread = math.fsum(x * x for _, x in centred)
    slopes = int(spread > 0)
    slope = math.fsum(x * y for y, x in centred) / spread if slopes else 0.0
    left = math.fsum((y - slope * x) ** 2 for y, x in centred)
    shift = means[1][1] - means[0][1]
    return Fit(
        difference=means[1][0] - means[0][0] - slope * shift,
        scatter=math.sqrt(left / (len(centred) - 2 - slopes)),
        counts=(len(stored), len(new)),
        slopes=slopes,
        shift=shift,
        spread=spread,
    )


def paced(times: Mapping[int, float], controls: Sequence[Mapping[int, float]]) -> list[Paced]:
    """The times of the rounds that all controls have too, each with the geometric mean of the controls' times.

    >>> paced({1: 3.0, 2: 5.0, 3: 4.0}, [{1: 1.0, 2: 2.0}, {1: 4.0, 2: 8.0, 3: 1.0}])
    [Paced(value=3.0, pace=2.0), Paced(value=5.0, pace=4.0)]
    """
    return [
        Paced(time, math.exp(fmean(math.log(one[number]) for one in controls)) if controls else 1.0)
        for number, time in times.items()
        if all(number in one for one in controls)
    ]
