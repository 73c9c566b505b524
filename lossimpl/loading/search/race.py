"""Settings compared in rounds: each round measures all of them once, in another order, each in a fresh process.

Whatever slows the machine down for a while slows a whole round, so settings are compared by their ratios within rounds.
A single value proves nothing: a setting is dropped only where it was slower in every round that it shared with the
fastest, by a margin that shrinks as rounds add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from lossimpl.loading.settings import Settings
from lossimpl.ranking import median_interval

MARGINS = {2: 0.75, 3: 0.9}  # by the number of shared rounds: drop what was slower than this in each of them
LATER_MARGIN = 0.96  # from the fourth round on
TIE = 0.98  # of the fastest: what may be so near is not worth more workers or processes that are kept


@dataclass
class Race:
    """The rate of each setting in each round; a setting that failed has no rates and is out."""

    rates: dict[Settings, dict[int, float]] = field(default_factory=dict)
    out: set[Settings] = field(default_factory=set)

    def note(self, settings: Settings, number: int, rate: float) -> None:
        """Add the rate of one setting in one round; 0 where it failed."""
        if rate:
            self.rates.setdefault(settings, {})[number] = rate
        else:
            self.out.add(settings)

    @property
    def alive(self) -> list[Settings]:
        """The settings that are still in, fastest first."""
        return self.order(one for one in self.rates if one not in self.out)

    def order(self, settings: Iterable[Settings]) -> list[Settings]:
        """Settings by their rates relative to their rounds, fastest first."""
        return sorted((one for one in settings if one in self.rates), key=self.relative, reverse=True)

    def relative(self, settings: Settings) -> float:
        """The median over its rounds of the rate against the fastest of the round."""
        best = {
            number: max(known[number] for known in self.rates.values() if number in known) for number in self.numbers
        }
        return median(rate / best[number] for number, rate in self.rates[settings].items())

    @property
    def numbers(self) -> set[int]:
        """The rounds so far."""
        return {number for known in self.rates.values() for number in known}

    def drop_slower(self) -> None:
        """Take out what is certainly slower than the fastest."""
        if not self.alive:
            return
        first = self.rates[self.alive[0]]
        self.out |= {one for one in self.alive[1:] if certainly_slower(self.rates[one], first)}


def ratios(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """The rate of one setting against another's in each round that both have."""
    return [one[number] / other[number] for number in sorted(one.keys() & other.keys())]


def certainly_slower(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether one setting was slower than the other in every shared round, by enough for their number.

    >>> certainly_slower({0: 10.0}, {0: 50.0}), certainly_slower({0: 10.0, 1: 11.0}, {0: 50.0, 1: 49.0})
    (False, True)
    """
    found = ratios(one, other)
    if len(found) < min(MARGINS):
        return False
    return median_interval(found).high < MARGINS.get(len(found), LATER_MARGIN)


def tied(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether neither setting is faster as far as the shared rounds show: the interval of their ratio holds 1."""
    found = ratios(one, other)
    if len(found) < 2:
        return True
    low, high = median_interval(found)[1:]
    return low <= 1 <= high


def near(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether one setting is as fast as the other for all practical purposes."""
    found = ratios(one, other)
    return bool(found) and median(found) >= TIE
