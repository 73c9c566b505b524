"""`native` against its alternatives, case by case and over the losses. Pure: rankings in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Literal

from lossimpl import wording
from lossimpl.ranking import Interval
from lossimpl.spec import TORCH_COMPILED
from reports.statistics.ranking import Ranking, Row, available, has_rank, times_as_long

EAGER = "eager"  # torch's own function, or the vectorized form where torch has none
ALTERNATIVES = (EAGER, "compiled", TORCH_COMPILED)
REFERENCES = ("naive", "vectorized")  # they show what is to be gained, and are not what one would choose
Verdict = Literal["fastest", "tied", "slower", "undecided"]
MODES = (
    "reuse",
    "step",
    "forward",
    "backward",
    "graph",
)  # in the order of pages: first where the allocator is the same


@dataclass(frozen=True)
class Claim:
    """One row against another of the same case and session: `ratio` is how many times as long `other` takes."""

    subject: Row
    other: Row
    ratio: Interval

    @property
    def words(self) -> str:
        """What the interval supports, in words."""
        name = self.other["implementation"]
        if not wording.known(self.ratio.low):
            return f"undecided against {name}: too few undisturbed rounds"
        if self.ratio.low > 1:
            return f"{wording.times_interval(*self.ratio)} as fast as {name}"
        if self.ratio.high < 1:
            inverse = Interval(1 / self.ratio.value, 1 / self.ratio.high, 1 / self.ratio.low)
            return f"{name} is {wording.times_interval(*inverse)} as fast as {self.subject['implementation']}"
        return f"statistically tied with {name} ({wording.digits(self.ratio.low)} to {wording.times(self.ratio.high)})"


@dataclass(frozen=True)
class Comparison:
    """One case in which `native` was measured, in one session."""

    ranking: Ranking

    @property
    def native(self) -> Row:
        """The row of native."""
        return next(row for row in self.ranking.rows if row["implementation"] == "native")

    @property
    def eager(self) -> Row | None:
        """The row of torch's own function; that of the vectorized form where torch has none."""
        return self.ranking.get("torch") or self.ranking.get("vectorized")

    @property
    def alternatives(self) -> tuple[Row, ...]:
        """What one could run instead: eager, compiled, and the implementations of other packages, if correct."""
        others = [row for row in self.ranking.rows if row["implementation"] not in ("native", *REFERENCES)]
        if self.ranking.get("torch") is None and self.eager is not None:
            others.append(self.eager)
        return tuple(row for row in others if available(row) and row["status"] in ("ok", "disturbed"))

    def alternative(self, name: str) -> Row | None:
        """The row of one of `ALTERNATIVES`, or of another implementation."""
        return self.eager if name == EAGER else self.ranking.get(name)

    def against(self, row: Row | None) -> Claim | None:
        """Native against another row; None unless both can be ranked."""
        if row is None or not (has_rank(row) and has_rank(self.native)):
            return None
        ratio = times_as_long(row, self.native)
        return Claim(self.native, row, ratio) if ratio else None

    @property
    def best(self) -> Claim | None:
        """Native against its fastest alternative; None if any alternative was disturbed and might be faster."""
        claims = [self.against(row) for row in self.alternatives]
        if not all(claims):
            return None
        return min((one for one in claims if one), key=lambda one: float(one.other["value"]), default=None)

    @property
    def verdict(self) -> Verdict:
        """`fastest`: significantly faster than every alternative; `slower`: slower than any of them."""
        claims = [self.against(row) for row in self.alternatives]
        ratios = [one.ratio for one in claims if one and wording.known(one.ratio.low)]
        if any(ratio.high < 1 for ratio in ratios):
            return "slower"
        if len(ratios) < len(claims):
            return "undecided"
        return "fastest" if all(ratio.low > 1 for ratio in ratios) else "tied"

    @property
    def doubt(self) -> str:
        """Why there is no claim, in words."""
        return doubt([self.native, *self.alternatives]) if self.alternatives else "nothing to compare with"

    @property
    def label(self) -> str:
        """The case in words."""
        one = self.native
        return f"{one['loss']} {one['shape']} {one['dtype']} {one['mode']}"


def doubt(rows: Iterable[Row]) -> str:
    """Which of the rows could not be ranked, by the reason: `disturbed: native and torch`."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if not has_rank(row):
            by_reason.setdefault(why_unranked(row), []).append(row["implementation"])
    return "; ".join(f"{reason}: {wording.names(names)}" for reason, names in by_reason.items())


def why_unranked(row: Row) -> str:
    """Why a row has no rank, in a word or two."""
    if row["status"] != "ok":
        return str(row["status"])
    return "too few rounds" if row["session"] else "one process"


def comparisons(found: Iterable[Ranking]) -> list[Comparison]:
    """Every case in which native could run, largest shapes first within a loss, dtype and mode."""
    return [Comparison(one) for one in found if one.get("native") is not None]


def count_words(cases: Iterable[Comparison], what: str = "cases") -> str:
    """In how many cases native is fastest, of those that have an alternative, and what it is in the others."""
    counts = Counter(one.verdict for one in cases if one.alternatives)
    if not counts:
        return f"No {what} have an alternative to native."
    others = {"tied": counts["tied"], "slower": counts["slower"], "undecided": counts["undecided"]}
    rest = ", ".join(f"{verdict} in {count}" for verdict, count in others.items() if count)
    sentence = f"Native is fastest in {counts['fastest']} of {counts.total()} {what} that have an alternative"
    return f"{sentence}; {rest}." if rest else f"{sentence}."


@dataclass(frozen=True)
class Spread:
    """Ratios over the losses: their geometric mean, the least, the most, and how many losses."""

    mean: float
    least: float
    most: float
    losses: int

    def words(self, losses: int) -> str:
        """`8.10× (1.20 to 72.0×)`, and over how many losses where that differs from `losses`."""
        between = f"{wording.digits(self.least)} to {wording.times(self.most)}" if self.losses > 1 else ""
        fewer = f"{self.losses} loss{'es' * (self.losses != 1)}" if self.losses != losses else ""
        remarks = ", ".join(filter(None, (between, fewer)))
        return wording.times(self.mean) + (f" ({remarks})" if remarks else "")


@dataclass(frozen=True)
class Means:
    """The largest case of every loss in one dtype and mode.

    `losses` is how many losses there are; `ratios` has how many times as long each alternative takes as native, `best`
    the same for the fastest alternative of each loss; `shares` are native's shares of the ceiling in ascending order,
    and `least` names the loss with the smallest.
    """

    dtype: str
    mode: str
    losses: int
    best: Spread | None
    ratios: dict[str, Spread]
    shares: tuple[float, ...]
    least: str

    @property
    def median_share(self) -> float | None:
        """The median share of the ceiling, None where none is known."""
        return median(self.shares) if self.shares else None

    def words(self, alternative: str = "") -> str:
        """How many times as long the alternative takes, or the best one; a dash where it was not measured."""
        spread = self.ratios.get(alternative) if alternative else self.best
        return spread.words(self.losses) if spread else wording.NOTHING


def largest(cases: Iterable[Comparison]) -> list[Comparison]:
    """The cases with as many elements as the largest of their loss; a smaller one never stands in for it."""
    cases = list(cases)
    most: dict[str, float] = {}
    for one in cases:
        loss = str(one.native["loss"])
        most[loss] = max(most.get(loss, 0.0), float(one.native["elements"]))
    return [one for one in cases if float(one.native["elements"]) == most[str(one.native["loss"])]]


def means(cases: Iterable[Comparison]) -> Iterator[Means]:
    """One entry per dtype and mode, over the largest cases whose native row is ranked; only memory limits those."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in largest(cases):
        if has_rank(one.native):
            groups.setdefault((str(one.native["dtype"]), str(one.native["mode"])), []).append(one)
    for (dtype, mode), group in sorted(groups.items(), key=lambda item: dtype_and_mode(*item[0])):
        natives = [one.native for one in group if wording.known(one.native["share"])]
        known = sorted((float(row["share"]), str(row["loss"])) for row in natives)
        ratios = {name: _spread(one.against(one.alternative(name)) for one in group) for name in ALTERNATIVES}
        yield Means(
            dtype,
            mode,
            len(group),
            _spread(one.best for one in group),
            {name: spread for name, spread in ratios.items() if spread},
            tuple(share for share, _ in known),
            known[0][1] if known else "",
        )


def dtype_and_mode(dtype: str, mode: str) -> tuple[object, ...]:
    """The order of pages: float32 first, then the modes in the order of `MODES`."""
    return dtype != "float32", dtype, MODES.index(mode) if mode in MODES else len(MODES), mode


def _spread(claims: Iterable[Claim | None]) -> Spread | None:
    ratios = [one.ratio.value for one in claims if one and wording.known(one.ratio.low)]
    return Spread(geometric_mean(ratios), min(ratios), max(ratios), len(ratios)) if ratios else None
