"""`lossimpl doctor` and `lossimpl replay`, as a user calls them."""

import dataclasses
import json

import pytest
import typer
from typer.testing import CliRunner

from lossimpl import environment, fitness, machine, rounds
from lossimpl.commands.doctor import doctor
from lossimpl.commands.replay import replay
from lossimpl.measure.types import Rule
from lossimpl.row import combined
from lossimpl.spec import Case


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def measured():
    """One row of this machine as `compare --json` prints it, its rounds called quiet."""
    case = Case("mse_loss", (16, 8))
    parts = [
        rounds.measure_round(case, ["torch"], number, Rule(max_seconds=0.02, min_samples=1)) for number in (1, 2, 3, 4)
    ]
    one = combined([row for part in parts for row in part])
    return dataclasses.asdict(dataclasses.replace(one, status="ok", reason="")) | {"machine": machine.name()}


@pytest.fixture
def stored(tmp_path, measured):
    """A side-car with its manifest; `stored(field=value)` changes the one row in it."""

    def write(manifest=None, factor=1.0, **fields):
        record = json.loads(json.dumps(measured | fields))
        for one in record["rounds"]:
            one |= {"busy": "", "samples": [one["seconds"] * factor], "seconds": one["seconds"] * factor}
        (tmp_path / "x.rows.jsonl").write_text(json.dumps(record) + "\n")
        (tmp_path / "x.manifest.jsonl").write_text(json.dumps(manifest or environment.manifest()) + "\n")
        return tmp_path / "x.rows.jsonl"

    return write


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_time_out_of_reach_is_not_reproduced(stored, factor):
    """A thousandth and a thousandfold: exit 1; on a machine too busy for any answer, 3. Never 0."""
    result = call(replay, stored(factor=factor), "--row", 1, "--rounds", 4)
    last = result.output.splitlines()[-1]
    assert (result.exit_code, last) in ((1, "not reproduced"), (3, "inconclusive")), result.output
    assert last == "not reproduced" or "busy" in result.output


def test_another_status_is_not_reproduced(stored):
    """Wrong then, right now."""
    result = call(replay, stored(status="wrong"), "--row", 1)
    assert result.exit_code == 1
    assert "status: wrong -> ok" in result.output
    assert result.output.splitlines()[-1] == "not reproduced"


def test_a_disturbed_row_is_not_comparable(stored):
    """Exit code 3, with the stored reason."""
    result = call(replay, stored(status="disturbed", reason="a neighbour"), "--row", 1)
    assert result.exit_code == 3
    assert "a neighbour" in result.output


def test_the_environment_comes_first(stored):
    """A different time on a different processor is no surprise, so that is said before any time."""
    other = json.loads(json.dumps(environment.manifest()))
    other["cpu"]["model"] = "Another 9000"
    other["id"] = "0"
    result = call(replay, write_other(stored, other), "--row", 1)
    lines = result.output.splitlines()
    assert "differs" in lines[1]
    assert any("cpu.model: Another 9000 -> " in line for line in lines[2:])


def write_other(stored, other):
    """A row of the other environment, which is not measured again."""
    file = stored(manifest=other, status="disturbed")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"manifest": other["id"]}))
    return file


def test_without_a_row_they_are_listed(stored):
    """Numbered from 1, as --row wants them."""
    assert "1  mse_loss torch 16x8 float32 cpu step ok" in call(replay, stored()).output


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


def test_strict_fails_where_the_machine_is_not_fit(monkeypatch):
    """One poor finding: exit 1 under --strict, 0 without."""
    poor = fitness.Finding("quota", "poor", "half a core", "give it whole cores")
    monkeypatch.setattr(fitness, "check", lambda: iter([poor]))
    assert call(doctor).exit_code == 0
    assert call(doctor, "--strict").exit_code == 1
    monkeypatch.setattr(fitness, "check", lambda: iter([]))
    assert call(doctor, "--strict", "--json").exit_code == 0


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"machine": "this", "recommended_rounds": 9}, "on this machine: 9 ("),
        ({"machine": "another", "recommended_rounds": 9}, "unknown"),
        ([], "unknown"),
    ],
)
def test_rounds_come_from_the_self_test(tmp_path, monkeypatch, record, line):
    """Those of this machine's record, and of no other's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOSSIMPL_MACHINE", "this")
    (tmp_path / "lossimpl").mkdir()
    (tmp_path / "lossimpl" / "sweep-selftest.json").write_text(json.dumps(record))
    assert line in " ".join(call(doctor).output.split())


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
