"""Change points: the right commit, few false alarms, and a new environment is an event."""

import numpy as np
import pandas as pd
import pytest
from simulated import KINDS, interrupted

from reports.statistics import changes

NOISE = 0.02  # the night-to-night spread of a row on a shared machine, as a share of its time


def planted(kind, rng, nights=60, at=None, ratio=1.0):
    levels = NOISE * KINDS[kind](nights, rng)
    if at is not None:
        levels[at:] += np.log(ratio)
    return np.exp(levels)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_steps_are_found_at_their_commit(kind):
    """Steps of 10-30 % up or down after 15-50 nights: the exact commit in at least 95 % of 100 series."""
    rng = np.random.default_rng(2)
    right = 0
    for _ in range(100):
        at, size = int(rng.integers(15, 50)), 1 + rng.uniform(0.1, 0.3)
        ratio = size if rng.random() < 0.5 else 1 / size
        found = changes.change_points(planted(kind, rng, at=at, ratio=ratio))
        right += [one.position for one in found] == [at] and (found[0].ratio > 1) == (ratio > 1)
    assert right >= 95


@pytest.mark.parametrize("kind", KINDS)
def test_steady_series_raise_no_alarm(kind):
    """At most one false alarm in 1,000 series-nights: at most 5 in 50 series of 100 nights each."""
    rng = np.random.default_rng(2)
    alarms = sum(len(changes.change_points(planted(kind, rng, nights=100))) for _ in range(50))
    assert alarms <= 5


def test_a_machine_that_is_often_disturbed_raises_no_alarm():
    """One night in seven 22 to 65 % slower, the others 2 %: at most 5 alarms in 50 series of 100 nights."""
    rng = np.random.default_rng(2)
    alarms = sum(len(changes.change_points(np.exp(NOISE * interrupted(100, rng)))) for _ in range(50))
    assert alarms <= 5


def test_a_noisy_stretch_is_no_change():
    """Ten nights five times as noisy in the middle of 60 quiet ones: no alarm in 100 series but at most five."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        levels = NOISE * rng.standard_normal(60)
        levels[25:35] *= 5
        alarms += len(changes.change_points(np.exp(levels)))
    assert alarms <= 5


def test_a_regression_and_its_repair_are_two_changes():
    """Up by 20 % for 12 nights, then back: both commits, each in its direction."""
    values = planted("normal", np.random.default_rng(4), nights=50, at=20, ratio=1.2)
    values[32:] /= 1.2
    found = changes.change_points(values)
    assert [one.position for one in found] == [20, 32]
    assert found[0].ratio == pytest.approx(1.2, rel=0.05)
    assert found[1].ratio == pytest.approx(1 / 1.2, rel=0.05)
    assert all(one.confidence > 0.99 for one in found)


def test_later_nights_change_no_finding():
    """What a prefix of the history reports stays reported, at the same position."""
    values = planted("heavy-tailed", np.random.default_rng(5), at=30, ratio=1.25)
    full = [one.position for one in changes.change_points(values)]
    for nights in range(8, 61):
        reported = [one.position for one in changes.change_points(values[:nights])]
        assert reported == full[: len(reported)]


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 40, [1.0] * 7 + [2.0] * 4])
def test_short_or_constant_histories_have_no_change(values):
    """Fewer than five points of a new level are no change, and neither is a constant."""
    assert changes.change_points(values) == []


def rows(machine, env, commits, values, benchmark="b.B.track_seconds"):
    return pd.DataFrame(
        {
            "machine": machine,
            "env": env,
            "commit": commits,
            "session": "s",
            "started_at": pd.Timestamp(0, tz="UTC"),
            "benchmark": benchmark,
            "params": [("'native'", "'8x8'")] * len(commits),
            "status": "ok",
            "value": values,
        }
    )


def test_a_new_environment_is_an_event_and_not_a_regression():
    """+30 % with a new torch: two series, no finding, and one event with the commit and both environments."""
    order = [f"c{index:02d}" for index in range(30)]
    rng = np.random.default_rng(6)
    old = rows("box", "py3.11-torch2.12", order[:15], 1 + 0.01 * rng.standard_normal(15))
    new = rows("box", "py3.11-torch2.13", order[15:], 1.3 + 0.01 * rng.standard_normal(15))
    series = changes.histories(pd.concat([new, old]), order)
    assert changes.findings(series) == []
    assert changes.events(series, order) == [changes.Event("box", "c15", "py3.11-torch2.12 -> py3.11-torch2.13")]


def test_machines_merge_and_each_keeps_its_own_history():
    """A regression of one machine is found beside another machine's steady rows; rows are in any order."""
    order = [f"c{index:02d}" for index in range(30)]
    rng = np.random.default_rng(8)
    slow = np.where(np.arange(30) >= 18, 1.2, 1.0) * (1 + 0.01 * rng.standard_normal(30))
    table = pd.concat([rows("one", "e", order, slow), rows("two", "e", order, 2 + 0.01 * rng.standard_normal(30))])
    (found,) = changes.findings(changes.histories(table.sample(frac=1, random_state=0), order))
    assert (found.series.machine, found.commit, found.before, found.verdict) == ("one", "c18", "c17", "slower")
    assert found.series.row == "b.B.track_seconds('native', '8x8')"


def test_rows_without_a_time_are_left_out():
    """Wrong or unavailable rows, and commits of another branch, are not in a series."""
    order = [f"c{index:02d}" for index in range(10)]
    table = rows("box", "e", [*order, "other"], [1.0] * 11)
    table.loc[3, ["status", "value"]] = ["wrong", np.nan]
    (series,) = changes.histories(table, order)
    assert series.commits == tuple(order[:3] + order[4:])


def test_a_disturbed_row_is_no_point_of_a_series():
    """Others took the processor at one commit, where the row took twice as long: the series goes on without it."""
    order = [f"c{index:02d}" for index in range(10)]
    table = rows("box", "e", order, [1.0] * 10)
    table.loc[3, ["status", "value"]] = ["disturbed", 2.0]
    (series,) = changes.histories(table, order)
    assert series.commits == tuple(order[:3] + order[4:])


def test_two_sessions_of_a_commit_are_one_point():
    """The newer one counts."""
    first, second = rows("box", "e", ["c00"], [1.0]), rows("box", "e", ["c00"], [3.0])
    second = second.assign(session="t", started_at=pd.Timestamp(1, unit="D", tz="UTC"))
    (series,) = changes.histories(pd.concat([second, first]), ["c00"])
    assert series.values == (3.0,)
