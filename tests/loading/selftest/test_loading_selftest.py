"""The self-tests measure what they say: by a made-up bench here, in earnest by `python -m reports loaders`."""

from __future__ import annotations

import pytest

from lossimpl.loading.row import Row
from lossimpl.loading.search.store import Store
from lossimpl.loading.selftest import budget, overhead, search, trainings
from lossimpl.loading.selftest.runs import OutOfTime, Runs
from lossimpl.loading.settings import Settings
from reports.site.pages.loading_selftest import reading

WITHIN = 0.95  # of the best of the full product
OVERHEAD = {"drive loop": 0.02, "observe": 0.01}  # of an epoch


class Slowing:
    """A bench on a machine that becomes slower and slower, on which workers double the rate."""

    dataset = "any"

    def __init__(self):
        self.asked = []

    def measure(self, settings, seconds, verdict_seconds):
        self.asked.append(settings)
        return Row("any", {}, epoch_rate=(100.0 - len(self.asked)) * (1 + settings.num_workers))


def test_rounds_are_paired_and_in_another_order_each():
    """A machine that slows down favours neither of two equal settings."""
    bench, settings = Slowing(), [Settings(), Settings(prefetch_factor=4), Settings(num_workers=1)]
    race = search.raced(bench, settings, range(5), Runs())
    assert [set(bench.asked[start : start + 3]) for start in range(0, 15, 3)] == [set(settings)] * 5
    assert len({tuple(bench.asked[start : start + 3]) for start in range(0, 15, 3)}) > 1
    assert race.alive[0] == settings[2]
    assert search.share_of_best(race, settings[0]) == pytest.approx(0.5, abs=0.05)
    assert search.share_of_best(race, Settings(num_workers=9)) == 0.0


def test_more_rounds_go_on_from_those_before():
    """Numbered on, so that each round is compared with itself alone."""
    bench = Slowing()
    race = search.raced(bench, [Settings()], range(2), Runs())
    assert search.raced(bench, [Settings()], range(2, 5), Runs(), race).numbers == {0, 1, 2, 3, 4}


def test_an_experiment_goes_on_where_its_time_was_over(tmp_path):
    """One run per call where there is no time at all; stored runs are not repeated, and give the same result."""
    path, bench, settings = tmp_path / "runs.jsonl", Slowing(), [Settings(), Settings(num_workers=1)]
    for done in (1, 2):
        with pytest.raises(OutOfTime):
            search.raced(bench, settings, range(3), Runs(Store(path), seconds=0.0))
        assert len(bench.asked) == 2 * done
    whole = search.raced(bench, settings, range(3), Runs(Store(path), seconds=0.0))
    assert len(bench.asked) == 6
    again = search.raced(bench, settings, range(3), Runs(Store(path)))
    assert (again.rates, len(bench.asked)) == (whole.rates, 6)


def test_the_budgets_runs_are_all_pairs_that_fit(monkeypatch):
    """Kept are those that took at most 15 percent more."""
    monkeypatch.setattr(budget, "one_run", lambda dataset, seconds: {"budget": seconds, "seconds": seconds * 1.1 + 1})
    found = budget.budget(["digits"], Runs(), 6)
    assert [run["budget"] for run in found["runs"]] == [10, 60, 90] * 2
    assert found["kept"] == 4  # 10 s took 12 s


@pytest.mark.slow
def test_the_search_finds_what_is_as_good_as_the_best_of_the_product(zygote, monkeypatch):
    """Items that wait 5 ms, so that workers help whatever the processor does; a third of the budget's time."""
    monkeypatch.setenv("LOSSIMPL_SYNTHETIC", "wait=0.005,work=0,length=400")
    zygote.close()  # the next one inherits the environment
    found = search.search_against_product("synthetic", zygote, Runs(), searches=1, budget=40.0)
    print(reading({"search": [found]}))
    if found["busy_rows"] > found["settings"] / 3:
        pytest.skip("other programs took the processor, so rates do not repeat")
    assert found["chosen_of_best"] >= WITHIN


@pytest.mark.slow
@pytest.mark.parametrize(("observed", "workers"), [(False, 0), (True, 0), (True, 2)])
def test_what_measures_adds_little_to_an_epoch(observed, workers):
    """The interval of what it adds does not lie above the bar."""
    found = overhead.overhead("photographs", 30.0, workers, observed)
    print(found)
    assert found["added_low"] <= OVERHEAD[found["what"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(trainings.TRAININGS))
def test_a_training_can_be_observed(name):
    """A few epochs of each: loading costs something, and the three lines say what."""
    _, observed = trainings.train(trainings.TRAININGS[name])
    assert len(observed.report().splitlines()) == 3
    assert observed.observation().stall_fraction > 0.1
