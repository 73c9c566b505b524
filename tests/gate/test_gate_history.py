"""What the record of main says about rows: which pairs cannot decide, and that these are still looked at."""

import json

import numpy as np
import pytest
from planted import measure
from test_gate_rehearsal import judged, toy  # noqa: F401  # the fixture

from reports.gate import history
from reports.gate.design import FIRST_LOOK
from reports.record.rows import Row

BENCHMARK = "mse_loss.MseLoss.track_seconds"
CASE = {"loss": "mse_loss", "shape": "32x10", "dtype": "float32", "device": "cpu", "mode": "step"}
NOISE = {"native": 0.02, "torch": 0.02, "vectorized": 0.5}  # of the log time, from round to round
COMMITS = [f"{number:08x}" * 5 for number in (0xA0, 0xA1, 0xA2)]


def row(implementation):
    return Row(BENCHMARK, (implementation, "32x10", "float32", "cpu", "step"))


def line(implementation, session, seconds):
    rounds = [{"number": number, "seconds": value, "busy": ""} for number, value in enumerate(seconds, start=1)]
    names = {"benchmark": BENCHMARK, "params": row(implementation).texts, "implementation": implementation}
    return {"format": 2, **names, **CASE, "session": session, "status": "ok", "rounds": rounds}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Three commits, each with a session of eight rounds; a session is up to twice as slow as another as a whole."""
    monkeypatch.setenv("LOSSIMPL_MACHINE", "bench")
    monkeypatch.setattr(history, "_history", lambda repository, base: [commit[:8] for commit in COMMITS])
    rng = np.random.default_rng(3)
    for number, commit in enumerate(COMMITS):
        measure(tmp_path, COMMITS, number, [1e-3] * 3)
        shared = rng.uniform(1, 2) * np.exp(0.3 * rng.standard_normal(8))  # also of the rounds, for all rows alike
        path = tmp_path / "results" / "bench" / f"{commit[:8]}-shared-py3.11-torch2.13.0.rows.jsonl"
        lines = [
            line(name, f"s{number}", 1e-3 * shared * np.exp(noise * rng.standard_normal(8)))
            for name, noise in NOISE.items()
        ]
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return tmp_path


def test_the_noise_of_a_row_is_that_of_its_ratio_to_a_steady_neighbour(repository):
    """What all rows of a round share cancels.

    Expected: native and torch scatter by 0.02 * sqrt(2) beside each other, vectorized by 0.5 beside either.
    """
    noise = history.of(repository, COMMITS[-1])
    assert noise.keys() == {row(name) for name in NOISE}
    assert noise[row("native")] == pytest.approx(0.028, rel=0.5)
    assert noise[row("torch")] == pytest.approx(0.028, rel=0.5)
    assert noise[row("vectorized")] == pytest.approx(0.5, rel=0.5)


def test_an_unsteady_neighbour_is_not_held_against_a_steady_row(repository, monkeypatch):
    """A case of two: torch scatters, so their ratio does too, but native's own time does not."""
    rng = np.random.default_rng(5)
    native, torch = (dict(enumerate(1e-3 * np.exp(noise * rng.standard_normal(20)), start=1)) for noise in (0.02, 0.5))
    monkeypatch.setattr(history, "_cases", lambda *given: [{row("native"): native, row("torch"): torch}])
    noise = history.of(repository, COMMITS[-1])
    assert [history.is_hopeless(noise[row(name)], 0.05) for name in ("native", "torch")] == [False, True]


def test_only_the_unsteady_row_is_hopeless(repository):
    """At a threshold of 5 %; at one of 50 %, which it can show, it is not."""
    noise = history.of(repository, COMMITS[-1])
    assert [one.implementation for one in noise if history.is_hopeless(noise[one], 0.05)] == ["vectorized"]
    assert [one for one in noise if history.is_hopeless(noise[one], 0.5)] == []


def test_without_a_record_of_the_merge_base_on_this_machine_nothing_is_known(repository, monkeypatch):
    """Neither another commit nor another machine is taken for it, nor a folder without results."""
    assert history.of(repository, "b" * 40) == {}
    assert history.of(repository / "nowhere", COMMITS[-1]) == {}
    monkeypatch.setenv("LOSSIMPL_MACHINE", "other")
    assert history.of(repository, COMMITS[-1]) == {}


def test_few_rounds_say_nothing(repository, monkeypatch):
    """One session of eight rounds is fewer than the noise needs."""
    monkeypatch.setattr(history, "_history", lambda repository, base: [COMMITS[-1][:8]])
    assert history.of(repository, COMMITS[-1]) == {}


def test_an_unsteady_row_gets_a_first_look_and_a_large_change_is_found_all_the_same(toy, tmp_path, monkeypatch):  # noqa: F811
    """All rows are unsteady by the history, and `native` becomes 1.5 times as slow: it is found.

    `naive`, whose noise of 3 % needs more pairs than a first look has, ends with these.
    """
    unsteady = [Row("loss.Loss.track_seconds", (name, size)) for name in ("naive", "native") for size in ("8", "64")]
    monkeypatch.setattr(history, "of", lambda repository, base: dict.fromkeys(unsteady, 1.0))
    toy.replace("benchmarks/calls.py", "lognormvariate(0, 0.02)", "lognormvariate(0, 0.03)")
    toy.base = toy.commit("More noise")
    toy.replace("toy/__init__.py", '"native": 1e-3', '"native": 1.5e-3')
    toy.commit("Slow down native")
    outcome = judged(toy, tmp_path / "work")
    naive = [one for one in outcome.rows if one.params[0] == "naive"]
    assert [one.pairs for one in naive] == [FIRST_LOOK] * len(naive)
    assert all(one.verdict == "same" or "unsteady" in one.reasons for one in naive)
    assert {one.verdict for one in outcome.rows if one.params[0] == "native"} == {"slower"}
    assert any(note.endswith("timed further only where a first look is suspicious") for note in outcome.notes)
