"""The parts of a claim: statement, source, criteria and experiment; and what an experiment measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Source:
    """Where the statement is made."""

    text: str
    year: int
    url: str


@dataclass(frozen=True)
class Criterion:
    """The range that a measured quantity must lie in; it was settled on seed 0.

    A criterion with `only_when` is a boundary of the claim: if it is not met, the claim holds only under that
    condition. `timed` marks a quantity that is read from a clock, so that it differs between runs.
    """

    what: str
    at_least: float = -math.inf
    at_most: float = math.inf
    only_when: str = ""
    timed: bool = False


class Point(NamedTuple):
    """One point of a claim's figure; a text as `x` is a category. Ends of an interval that are NaN are not drawn."""

    series: str
    x: float | str
    y: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Curves:
    """The numbers of a claim's figure, with the labels of its axes."""

    x: str
    y: str
    points: Sequence[Point]
    log_x: bool = False
    log_y: bool = False
    timed: bool = False


@dataclass(frozen=True)
class Measured:
    """The samples of each criterion, one per repetition, and the figure's numbers; one sample is an exact number."""

    samples: Mapping[str, Sequence[float]]
    curves: Curves


@dataclass(frozen=True)
class Claim:
    """A statement, where it is made, what would confirm it, and the experiment, a function of a seed."""

    statement: str
    source: Source
    criteria: Mapping[str, Criterion]
    experiment: Callable[[int], Measured]

    def __post_init__(self) -> None:
        if all(one.only_when for one in self.criteria.values()):
            raise ValueError("criteria: expected at least one without `only_when`, which decides on the statement")
