"""From the samples of an experiment to a verdict: an interval per criterion, and one rule for all claims."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from lossimpl import wording
from lossimpl.claims.support.model import Claim, Criterion, Measured
from lossimpl.ranking import Interval, student

HOLDS, LIMITED, FAILS, UNDECIDED = "holds", "holds only when", "does not hold", "inconclusive"
VERDICTS = (HOLDS, LIMITED, FAILS, UNDECIDED)


@dataclass(frozen=True)
class Finding:
    """A criterion with what was measured: `met` is None where the interval holds a bound of the criterion."""

    name: str
    criterion: Criterion
    effect: Interval
    repetitions: int

    @property
    def met(self) -> bool | None:
        """Whether the whole interval lies inside the required range (true) or outside of it (false)."""
        low, high = self.criterion.at_least, self.criterion.at_most
        if self.effect.low >= low and self.effect.high <= high:
            return True
        return False if self.effect.high < low or self.effect.low > high else None

    def words(self) -> str:
        """The effect size with its interval.

        >>> Finding("a", Criterion("ratio", at_least=1), Interval(2.0, 1.5, 2.5), 9).words()
        'ratio: 2.00 (1.50 to 2.50), required at least 1.00: met'
        """
        met = {True: "met", False: "not met", None: "undecided"}[self.met]
        return f"{self.criterion.what}: {self.size()}, required {required(self.criterion)}: {met}"

    def size(self) -> str:
        """The effect with the ends of its interval; an exact number has none."""
        value, low, high = map(wording.digits, self.effect)
        return value if self.repetitions == 1 else f"{value} ({low} to {high})"


@dataclass(frozen=True)
class Result:
    """What one run of a claim found; `digest` covers every number that is not read from a clock."""

    name: str
    seed: int
    verdict: str
    condition: str
    findings: tuple[Finding, ...]
    measured: Measured
    digest: str
    seconds: float

    def words(self) -> str:
        """The verdict with its condition."""
        return f"{self.verdict} {self.condition}".rstrip()

    def points(self) -> Iterator[dict[str, Any]]:
        """The numbers of the figure, a flat record per point; a missing end of an interval is None."""
        for point in self.measured.curves.points:
            held = point._asdict()
            yield {name: None if value != value else value for name, value in held.items()}


def required(criterion: Criterion) -> str:
    """The range of a criterion in words.

    >>> required(Criterion("", at_least=1)), required(Criterion("", 0, 0)), required(Criterion("", 1, 2))
    ('at least 1.00', 'exactly 0', '1.00 to 2.00')
    """
    low, high = criterion.at_least, criterion.at_most
    if low == high:
        return f"exactly {wording.digits(low)}"
    if math.isinf(low) or math.isinf(high):
        return f"at most {wording.digits(high)}" if math.isinf(low) else f"at least {wording.digits(low)}"
    return f"{wording.digits(low)} to {wording.digits(high)}"


def judged(name: str, claim: Claim, seed: int, measured: Measured, seconds: float) -> Result:
    """The verdict on what an experiment measured. Raises ValueError for other criteria than the claim has."""
    if set(measured.samples) != set(claim.criteria):
        odd = sorted(set(measured.samples) ^ set(claim.criteria))
        raise ValueError(f"claim {name!r}: criteria and samples must have the same names, differ in {', '.join(odd)}")
    findings = tuple(finding(key, one, measured.samples[key]) for key, one in claim.criteria.items())
    verdict, condition = decision(findings)
    return Result(name, seed, verdict, condition, findings, measured, digest(claim, measured), seconds)


def finding(name: str, criterion: Criterion, samples: Sequence[float]) -> Finding:
    """The mean over the repetitions with its interval of Student (1908); a single sample is exact.

    >>> finding("a", Criterion("difference", at_least=0), [1.0, 2.0, 3.0]).size()
    '2.00 (-0.484 to 4.48)'
    """
    values = [float(one) for one in samples]
    middle = fmean(values)
    spread = stdev(values) if len(values) > 1 else 0.0
    reach = student(len(values) - 1) * spread / math.sqrt(len(values)) if spread else 0.0
    return Finding(name, criterion, Interval(middle, middle - reach, middle + reach), len(values))


def decision(findings: Sequence[Finding]) -> tuple[str, str]:
    """The verdict and its condition.

    The statement fails with any criterion that decides on it. A boundary that is not met limits it. What no interval
    decides is inconclusive.
    """
    deciding = [one.met for one in findings if not one.criterion.only_when]
    if False in deciding:
        return FAILS, ""
    if None in [one.met for one in findings]:
        return UNDECIDED, ""
    conditions = dict.fromkeys(one.criterion.only_when for one in findings if one.met is False)
    return (LIMITED, " and ".join(conditions)) if conditions else (HOLDS, "")


def digest(claim: Claim, measured: Measured) -> str:
    """A digest of the bits of all numbers but those that are read from a clock."""
    samples = {
        name: [float(one).hex() for one in values]
        for name, values in sorted(measured.samples.items())
        if not claim.criteria[name].timed
    }
    points = [] if measured.curves.timed else [[_bits(part) for part in point] for point in measured.curves.points]
    return hashlib.sha256(json.dumps([samples, points]).encode()).hexdigest()[:16]


def _bits(part: float | str) -> str:
    return part if isinstance(part, str) else float(part).hex()


def record(results: Sequence[Result], claim: Claim, torch_version: str) -> Mapping[str, Any]:
    """A claim with the result of its first seed, and the verdicts of all seeds, as a JSON object."""
    first, curves = results[0], results[0].measured.curves
    return {
        "claim": first.name,
        "statement": claim.statement,
        "source": f"{claim.source.text} ({claim.source.year})",
        "url": claim.source.url,
        "seed": first.seed,
        "verdict": first.verdict,
        "condition": first.condition,
        "verdicts": [one.words() for one in results],
        "findings": list(map(finding_record, first.findings)),
        "x": curves.x,
        "y": curves.y,
        "log_x": curves.log_x,
        "log_y": curves.log_y,
        "points": list(first.points()),
        "digest": first.digest,
        "seconds": round(first.seconds, 2),
        "torch": torch_version,
    }


def finding_record(one: Finding) -> dict[str, Any]:
    """A finding as a flat record."""
    return {
        "criterion": one.name,
        "what": one.criterion.what,
        "required": required(one.criterion),
        "only_when": one.criterion.only_when,
        "timed": one.criterion.timed,
        "repetitions": one.repetitions,
        **one.effect._asdict(),
        "met": one.met,
    }
