"""The clock, driven by a clock of our own: every expected number follows from the seconds that we let pass."""

from itertools import chain, cycle, repeat

import pytest

from lossimpl.measure import clock
from lossimpl.measure.clock import Rule


class FakeTime:
    """A clock that only calls move: each call takes the next of `durations` seconds."""

    def __init__(self, durations):
        self.now, self.durations, self.calls = 0.0, iter(durations), 0

    def perf_counter(self):
        return self.now

    def call(self):
        self.calls += 1
        self.now += next(self.durations)


@pytest.fixture
def timed(monkeypatch):
    def run(durations, rule=clock.DEFAULT_RULE):
        fake = FakeTime(durations)
        monkeypatch.setattr(clock.time, "perf_counter", fake.perf_counter)
        monkeypatch.setattr(clock, "resolution", lambda: 1e-7)
        monkeypatch.setattr(clock, "Watch", lambda: type("Quiet", (), {"verdict": lambda self: ""})())
        return clock.time_calls(fake.call, rule=rule)

    return run


def test_equal_calls_stop_as_precise_after_the_fewest_samples(timed):
    """Nothing varies, so the median is known exactly with the seven samples that are always taken."""
    timing = timed(repeat(0.25))
    assert (timing.stop, timing.precision, len(timing.samples)) == ("precise", 0, 7)
    assert timing.samples == pytest.approx([0.25] * 7)


def test_scattered_calls_stop_at_the_time_cap_and_say_what_was_reached(timed):
    """Calls of 1 and 3 ms in turn never agree to 1 percent; half the interval over the median is (3 - 1) / 2 / 1..3."""
    timing = timed(cycle([0.001, 0.003, 0.003, 0.001, 0.002]), Rule(max_seconds=0.2, batch_seconds=1e-4))
    assert timing.stop == "time-cap"
    assert timing.precision > 0.01
    assert sum(timing.samples) * timing.number + timing.warmup_seconds == pytest.approx(0.2, abs=0.01)


def test_sampling_ends_at_the_sample_cap(timed):
    """With time to spare, no more samples are taken than the rule allows."""
    timing = timed(cycle([0.001, 0.003]), Rule(max_seconds=60, max_samples=9, batch_seconds=1e-4))
    assert (timing.stop, len(timing.samples)) == ("sample-cap", 9)


def test_seven_samples_are_taken_even_of_a_call_beyond_the_cap(timed):
    """A rank test of two sets of equal size can flag nothing with fewer."""
    assert len(timed(repeat(10.0), Rule(max_seconds=1)).samples) == 7


def test_an_outlier_is_kept(timed):
    """One call a hundred times slower, after the warm-up, stands among the samples."""
    timing = timed(chain(repeat(0.01, 8), [1.0], repeat(0.01)), Rule(max_seconds=0.3))
    assert max(timing.samples) == pytest.approx(1.0)


def test_calls_that_still_get_faster_belong_to_the_warm_up(timed):
    """Eight calls, each a tenth faster than the one before, are warm-up; the samples are all of the steady time."""
    slow = [0.02 * 0.9**k for k in range(8)]
    timing = timed(chain(slow, repeat(0.009)), Rule(max_seconds=3))
    assert timing.samples == pytest.approx([0.009] * 7)
    assert timing.warmup_seconds >= sum(slow)


def test_warming_up_never_takes_more_than_a_third(timed):
    """Calls that get faster for ever do not keep the clock from sampling."""
    timing = timed((0.01 * 0.97**k for k in range(10**6)), Rule(max_seconds=0.3))
    assert timing.warmup_seconds <= 0.1 + 0.01


@pytest.mark.parametrize(("seconds", "number"), [(1e-6, 2000), (1e-4, 20), (1.0, 1)])
def test_a_batch_is_long_against_the_clock(timed, seconds, number):
    """2 ms of calls a batch, by the rule; a resolution of 0.1 us is then 20,000 times finer."""
    assert timed(repeat(seconds)).number == pytest.approx(number, rel=0.01, abs=1)


def test_a_coarse_clock_gets_longer_batches(monkeypatch):
    """A clock of 15 ms, as some systems have, asks for batches of 15 s: a thousand times its resolution."""
    monkeypatch.setattr(clock, "resolution", lambda: 0.015)
    assert clock.calls_per_batch(0.001, Rule()) == 15_000


def test_the_collector_rests_and_comes_back():
    """The garbage collector is off while a call is timed, and on again after it, even if the call fails."""
    import gc

    seen = []
    clock.time_calls(lambda: seen.append(gc.isenabled()), rule=Rule(max_seconds=0.01, max_samples=7))
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        clock.time_calls(lambda: 1 / 0)
    assert gc.isenabled()


def test_a_known_delay_is_measured():
    """time.sleep(0.002) takes at least 2 ms by its contract, and rarely twice that."""
    import time

    timing = clock.time_calls(lambda: time.sleep(0.002), rule=Rule(max_seconds=0.2))
    assert 0.002 <= sorted(timing.samples)[len(timing.samples) // 2] < 0.006


@pytest.mark.parametrize(
    "fields", [{"min_samples": 0}, {"min_samples": 7, "max_samples": 3}, {"precision": 0.0}, {"max_seconds": -1.0}]
)
def test_a_rule_that_cannot_be_followed_is_refused(fields):
    """The message names the fields and what is allowed."""
    with pytest.raises(ValueError, match="expected"):
        Rule(**fields)


def test_a_graph_is_for_the_gpu_clock_to_record(monkeypatch):
    """On CUDA the wish goes to the clock of the device, whose own tests say what becomes of it."""
    monkeypatch.setattr("lossimpl.measure.cuda.time_calls", lambda call, rule, graph: (call, graph))
    assert clock.time_calls(print, "cuda", graph=True) == (print, True)
