"""A verdict follows from the criteria alone, and can be any of the four."""

import math

import pytest

from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.run import run_claim
from lossimpl.claims.support.verdict import digest, finding, record


def claim(samples, timed=False, y=1.0, **criteria):
    """A claim whose experiment measures these samples."""
    measured = Measured(samples, Curves("x", "y", [Point("a", 0, y)], timed=timed))
    return Claim("It is so.", Source("A book", 2000, "https://example.org"), criteria, lambda seed: measured)


CORE, EDGE = Criterion("core", at_least=1), Criterion("edge", at_least=1, only_when="it is small")


@pytest.mark.parametrize(
    ("expected", "core", "edge"),
    [
        ("holds", [2.0], [2.0]),
        ("holds only when it is small", [2.0], [0.0]),
        ("does not hold", [0.0], [2.0]),
        ("does not hold", [0.0], [0.0, 2.0]),
        ("inconclusive", [0.0, 2.0], [2.0]),
        ("inconclusive", [2.0], [0.0, 2.0]),
    ],
)
def test_the_verdict_follows_from_the_criteria(expected, core, edge):
    """A criterion that decides can refute the claim, a boundary limits it, and a wide interval leaves it open."""
    held = claim({"core": core, "edge": edge}, core=CORE, edge=EDGE)
    assert run_claim("it", held, 0).words() == expected


def test_the_interval_is_that_of_student():
    """1, 2, 3: mean 2, standard error 1/√3, and t = 4.302653 for two degrees of freedom (tables of Student's t)."""
    low = 2 - 4.302653 / math.sqrt(3)
    assert finding("a", CORE, [1.0, 2.0, 3.0]).effect == pytest.approx((2.0, low, 4 - low))


def test_a_claim_needs_a_criterion_that_decides():
    """With boundaries alone, nothing could refute it."""
    with pytest.raises(ValueError, match="expected at least one without `only_when`"):
        claim({}, edge=EDGE)


def test_samples_and_criteria_have_the_same_names():
    """An experiment that forgets a criterion is an error, not a verdict."""
    with pytest.raises(ValueError, match="the same names, differ in core"):
        run_claim("it", claim({}, core=CORE), 0)


def test_the_digest_covers_bits_but_no_clock():
    """The last bit of a sample or of a point changes it; what is read from a clock does not."""
    timed = Criterion("time", timed=True)

    def of(core=2.0, seconds=1.0, clock=False, y=1.0):
        held = claim({"core": [core], "time": [seconds]}, clock, y, core=CORE, time=timed)
        return digest(held, held.experiment(0))

    assert of() != of(core=math.nextafter(2.0, 3))
    assert of() != of(y=math.nextafter(1.0, 3))
    assert of() == of(seconds=2.0)
    assert of(clock=True, y=3.0) == of(clock=True)


def test_a_record_has_the_verdicts_of_all_seeds():
    """The numbers are of the first."""
    held = claim({"core": [2.0]}, core=CORE)
    found = record([run_claim("it", held, seed) for seed in (3, 4)], held, "2.13.0")
    assert (found["seed"], found["verdicts"]) == (3, ["holds", "holds"])
    assert found["points"] == [{"series": "a", "x": 0, "y": 1.0, "low": None, "high": None}]
