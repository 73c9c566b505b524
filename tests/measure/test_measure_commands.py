"""`lossimpl doctor` and `lossimpl replay`, as a user calls them."""

import dataclasses
import json

import pytest
import typer
from typer.testing import CliRunner

from lossimpl import environment, fitness, row
from lossimpl.commands.doctor import doctor
from lossimpl.commands.replay import replay
from lossimpl.measure.types import Rule
from lossimpl.spec import Case


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def measured():
    """One honest row of this machine, as a side-car keeps it."""
    return dataclasses.asdict(row.measure(Case("mse_loss", (16, 8)), "torch", Rule(max_seconds=0.05)))


@pytest.fixture
def stored(tmp_path, measured):
    """A side-car with its manifest; `stored(field=value)` changes the one row in it."""

    def write(manifest=None, **fields):
        (tmp_path / "x.rows.jsonl").write_text(json.dumps(measured | fields) + "\n")
        (tmp_path / "x.manifest.jsonl").write_text(json.dumps(manifest or environment.manifest()) + "\n")
        return tmp_path / "x.rows.jsonl"

    return write


def test_a_number_in_reach_is_reproduced(stored):
    """Samples from a thousandth of a second to ten times as long: whatever this machine takes lies between."""
    result = call(replay, stored(samples=[1e-7, 10.0] * 4), "--row", 1, "--seconds", 0.1)
    assert result.exit_code == 0, result.output
    assert "environment: the same" in result.output
    assert result.output.splitlines()[-1] == "reproduced"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"samples": [1e-9] * 7}, "time: the intervals do not overlap"),
        ({"samples": [10.0] * 7}, "time: the intervals do not overlap"),
        ({"status": "wrong", "samples": []}, "status: wrong -> ok"),
        ({"agreement": {"verdict": "wrong"}}, "agreement: wrong -> ok"),
    ],
)
def test_a_number_out_of_reach_is_not(stored, fields, reason):
    """A nanosecond, ten seconds, another status, another verdict: each is named, and the exit code is 1."""
    result = call(replay, stored(**fields), "--row", 1, "--seconds", 0.1)
    assert result.exit_code == 1
    assert reason in result.output
    assert result.output.splitlines()[-1] == "not reproduced"


def test_the_environment_comes_first(stored):
    """A different time on a different processor is no surprise, so that is said before any time."""
    other = json.loads(json.dumps(environment.manifest()))
    other["cpu"]["model"] = "Another 9000"
    result = call(replay, stored(manifest=other), "--row", 1, "--seconds", 0.1)
    lines = result.output.splitlines()
    assert "differs" in lines[1]
    assert any("cpu.model: Another 9000 -> " in line for line in lines[2:])


def test_without_a_row_they_are_listed(stored):
    """Numbered from 1, as --row wants them."""
    assert "1  mse_loss torch 16x8 float32 cpu step ok" in call(replay, stored()).output


def test_rows_of_compare_are_replayed_too(tmp_path, measured):
    """`lossimpl compare --json` prints one list."""
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([measured], indent=1))
    assert "not recorded" in call(replay, file, "--row", 1, "--seconds", 0.1).output


@pytest.mark.parametrize(
    ("text", "row_number", "message"),
    [("", 1, "no row of a loss"), ("{", 1, "Expecting"), ('{"implementation": "torch"}', 7, "rows 1 to 1")],
)
def test_a_bad_request_says_what_is_allowed(tmp_path, text, row_number, message):
    """Exit code 2, as for every wrong argument."""
    file = tmp_path / "x.rows.jsonl"
    file.write_text(text)
    result = call(replay, file, "--row", row_number)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_doctor_tells_what_is_missing_and_why():
    """As JSON: the manifest, a reason for each thing that is unavailable, and findings with advice where poor."""
    result = call(doctor, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["manifest"]["id"]
    assert all(one["reason"] and one["losses"] for one in found["unavailable"])
    assert {one["state"] for one in found["fitness"]} <= {"good", "poor", "unknown"}
    assert all(one["advice"] for one in found["fitness"] if one["state"] == "poor")


def test_doctor_speaks():
    """One line of summary at the end, whatever the machine."""
    assert call(doctor).output.strip().splitlines()[-1].startswith(("Fit for", "Not fit for"))


@pytest.mark.parametrize(
    ("files", "check", "state"),
    [
        ({"cpu0/cpufreq/scaling_governor": "performance"}, fitness.governor, "good"),
        ({"cpu0/cpufreq/scaling_governor": "powersave"}, fitness.governor, "poor"),
        ({}, fitness.governor, "unknown"),
        ({"intel_pstate/no_turbo": "1"}, fitness.turbo, "good"),
        ({"intel_pstate/no_turbo": "0"}, fitness.turbo, "poor"),
        ({"cpufreq/boost": "0"}, fitness.turbo, "good"),
        ({"cpufreq/boost": "1"}, fitness.turbo, "poor"),
        ({}, fitness.turbo, "unknown"),
    ],
)
def test_the_frequency_is_read_where_the_kernel_tells_it(tmp_path, monkeypatch, files, check, state):
    """The kernel's documentation of cpufreq and intel_pstate says what these files hold."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(fitness, "CPU", tmp_path)
    assert check().state == state


def test_a_quota_is_poor_and_counts_how_often_it_bit(tmp_path, monkeypatch):
    """cpu.stat of the control group, version 2."""
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 5\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n")
    monkeypatch.setattr(fitness.threads, "CGROUP_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(fitness, "CGROUP_STATISTICS", tmp_path / "cpu.stat")
    found = fitness.quota()
    assert found.state == "poor"
    assert "1.5 cores" in found.text
    assert "4 times" in found.text
