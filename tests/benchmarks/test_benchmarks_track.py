"""What asv gets of a row, and what goes into the side-car: every outcome, once, with its reason."""

import json
from types import SimpleNamespace

import pytest
import torch.nn.functional as F
from asv_runner.benchmarks.mark import SkipNotImplemented

from benchmarks import common, loading
from lossimpl import environment, registry
from lossimpl.spec import Implementation

PARAMS = ("planted", "8x4", "float32", "cpu", "step")


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A side-car for one test; `read()` gives its rows, `.manifests()` those beside it."""
    path = tmp_path / "machine" / "0123abcd-env.rows.jsonl"
    monkeypatch.setenv("LOSSIMPL_ROWS", str(path))
    monkeypatch.setenv("LOSSIMPL_SECONDS", "0.02")
    beside = path.with_name("0123abcd-env.manifest.jsonl")
    return SimpleNamespace(path=path, read=lambda: common.lines(path), manifests=lambda: common.lines(beside))


@pytest.fixture
def plant(monkeypatch):
    """Put an implementation of mse_loss where the benchmark looks for it."""

    def planted(function, **fields):
        one = Implementation("planted", lambda device: function, **fields)
        monkeypatch.setitem(registry.get("mse_loss").implementations, "planted", one)

    return planted


def test_a_good_row_gives_asv_its_samples(rows, plant):
    """asv gets samples and calls per sample, and the side-car the same samples with all the rest."""
    plant(F.mse_loss)
    result = common.track("mse_loss", *PARAMS)
    (row,) = rows.read()
    assert result == {"samples": row["rounds"][0]["samples"], "number": row["rounds"][0]["calls"]}
    assert row["benchmark"] == "mse_loss.MseLoss.track_seconds"
    assert row["params"] == ["'planted'", "'8x4'", "'float32'", "'cpu'", "'step'"]
    assert (row["status"], row["agreement"]["verdict"]) == ("ok", "ok")
    assert [manifest["id"] for manifest in rows.manifests()] == [row["manifest"]] == [environment.manifest()["id"]]


def test_disagreement_is_a_failure_that_is_kept(rows, plant):
    """asv counts any other exception than NotImplementedError as failed."""
    plant(lambda input, target, reduction="mean": 2 * F.mse_loss(input, target, reduction=reduction))
    with pytest.raises(RuntimeError, match=r"^wrong: ") as failure:
        common.track("mse_loss", *PARAMS)
    assert not isinstance(failure.value, NotImplementedError)
    assert [row["status"] for row in rows.read()] == ["wrong"]


def test_unavailable_is_a_skip_that_is_kept(rows, plant):
    """asv writes n/a; the reason is in the side-car."""
    plant(F.mse_loss, available=lambda device: "needs a licence")
    with pytest.raises(SkipNotImplemented, match="needs a licence"):
        common.track("mse_loss", *PARAMS)
    assert [(row["status"], row["reason"]) for row in rows.read()] == [("unavailable", "needs a licence")]


def test_a_name_that_this_version_does_not_have_is_unavailable(rows):
    """A plug-in that is not installed, or an implementation that an old commit did not have yet."""
    with pytest.raises(SkipNotImplemented, match="lacks it"):
        common.track("mse_loss", "not there", *PARAMS[1:])
    assert [row["status"] for row in rows.read()] == ["unavailable"]


def test_a_round_measures_all_implementations_of_the_case(rows, plant, monkeypatch, tmp_path):
    """The plan names three, of which one does not exist: three records, and asv gets the samples of its own row."""
    plant(F.mse_loss)
    case = {"mode": "step", "number": 3, "implementations": ["planted", "torch", "not there"], "checked": ["torch"]}
    path = tmp_path / "round.json"
    path.write_text(json.dumps({"seconds": 0.02, "cases": [case]}))
    monkeypatch.setenv("LOSSIMPL_ROUND", str(path))
    result = common.track("mse_loss", *PARAMS)
    found = {row["implementation"]: row for row in rows.read()}
    assert [found[name]["status"] for name in case["implementations"]] == ["ok", "ok", "unavailable"]
    assert result["samples"] == found["planted"]["rounds"][0]["samples"]
    assert {found[name]["rounds"][0]["number"] for name in ("planted", "torch")} == {3}
    assert found["torch"]["agreement"] is None
    assert found["torch"]["params"][0] == "'torch'"


def test_without_a_side_car_nothing_is_written(plant, monkeypatch, tmp_path):
    """asv continuous and others run the same benchmarks without a sweep."""
    monkeypatch.delenv("LOSSIMPL_ROWS", raising=False)
    monkeypatch.setenv("LOSSIMPL_SECONDS", "0.02")
    monkeypatch.chdir(tmp_path)
    plant(F.mse_loss)
    assert common.track("mse_loss", *PARAMS)["samples"]
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_short_is_skipped(rows):
    """A crash in the middle of writing loses that row and no other."""
    common.append(rows.path, {"a": 1})
    rows.path.open("a").write('{"b": ')
    assert rows.read() == [{"a": 1}]


def test_a_loading_row_is_result_in_seconds_per_sample(rows, monkeypatch):
    """100 and 200 samples a second are 10 and 5 ms a sample; the side-car keeps the rates."""
    measured = {"status": "ok", "samples_per_second": [100.0, 200.0], "scenario": {"num_workers": 0}}
    monkeypatch.setattr("lossimpl.loading.measure", lambda *arguments: dict(measured))
    result = loading.Loading().track_seconds_per_sample("digits", 0, False, 16)
    assert result == {"samples": [0.01, 0.005], "number": 1}
    (row,) = rows.read()
    assert row["params"] == ["'digits'", "0", "False", "16"]
    assert row["samples_per_second"] == [100.0, 200.0]
    assert json.dumps(row)


@pytest.mark.parametrize(("status", "error"), [("skipped", SkipNotImplemented), ("wrong-data", RuntimeError)])
def test_a_loading_row_that_delivers_wrong_data_fails(rows, monkeypatch, status, error):
    """Settings that cannot run are skipped; data that changed is a failure. Both are kept."""
    monkeypatch.setattr("lossimpl.loading.measure", lambda *arguments: {"status": status, "reason": "because"})
    with pytest.raises(error, match="because"):
        loading.Loading().track_seconds_per_sample("digits", 0, True, 16)
    assert [row["status"] for row in rows.read()] == [status]
