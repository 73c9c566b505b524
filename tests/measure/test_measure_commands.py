"""`lossimpl doctor` and `lossimpl replay`, as a user calls them."""

import dataclasses
import json

import pytest
import typer
from typer.testing import CliRunner

from lossimpl import environment, fitness, identity, lookup, machine, rounds
from lossimpl.commands.doctor import doctor
from lossimpl.commands.replay import replay
from lossimpl.measure.types import Rule
from lossimpl.row import combined
from lossimpl.spec import Case


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def again(file, *arguments):
    """Replay the one row of a file."""
    (entry,) = lookup.found_in(file).entries
    return call(replay, entry.id, "--in", file, *arguments)


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
    result = again(stored(factor=factor), "--rounds", 4)
    last = result.output.splitlines()[-1]
    assert (result.exit_code, last) in ((1, "not reproduced"), (3, "inconclusive")), result.output
    assert last == "not reproduced" or "busy" in result.output


def test_another_status_is_not_reproduced(stored):
    """Wrong then, right now."""
    result = again(stored(status="wrong"))
    assert result.exit_code == 1
    assert "status: wrong -> ok" in result.output
    assert result.output.splitlines()[-1] == "not reproduced"


def test_a_disturbed_row_is_not_comparable(stored):
    """Exit code 3, with the stored reason."""
    result = again(stored(status="disturbed", reason="a neighbour"))
    assert result.exit_code == 3
    assert "a neighbour" in result.output


def test_the_environment_comes_first(stored):
    """A different time on a different processor is no surprise, so that is said before any time, and before Python."""
    other = json.loads(json.dumps(environment.manifest()))
    other["cpu"]["model"] = "Another 9000"
    other |= {"id": "0", "python": "2.7"}
    result = again(write_other(stored, other))
    lines = result.output.splitlines()
    assert "differs" in lines[3]
    assert "cpu.model: Another 9000 -> " in lines[4]


def write_other(stored, other):
    """A row of the other environment, which is not measured again."""
    file = stored(manifest=other, status="disturbed")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"manifest": other["id"]}))
    return file


def test_the_rows_of_a_file_or_folder_are_listed(stored):
    """With the ids that replay wants."""
    file = stored()
    (entry,) = lookup.found_in(file).entries
    listed = f"{entry.id}  mse_loss torch 16x8 float32 cpu step ok\n"
    assert call(replay, file).output == call(replay, file.parent).output == listed


@pytest.mark.parametrize("option", [("--json", "replay.json"), ("--sample", "40")])
def test_options_of_many_rows_are_refused_for_one(stored, option):
    """They were ignored without `--all`."""
    result = call(replay, stored(), *option)
    assert result.exit_code == 2
    assert f"{option[0]}: it belongs to --all" in plain(result.output)


def test_an_altered_row_is_named_and_not_measured(stored, measured):
    """A hundredth faster than it was written: exit code 2 with the place, in a copy of the record too."""
    file = stored()
    place = {"machine": machine.name(), "commit": "0123456789abcdef", "session": "s"}
    row = identity.identified(json.loads(file.read_text()) | place)
    assert "its checksum holds" in again(written(file, row), "--rounds", 4).output
    for one in row["rounds"]:
        one |= {"seconds": 0.99 * one["seconds"], "samples": [0.99 * one["seconds"]]}
    result = again(written(file, row))
    assert result.exit_code == 2
    assert "x.rows.jsonl, row 1: checksum: the row was changed after it was written" in plain(result.output)


def test_how_many_rows_are_reproduced(stored, monkeypatch):
    """Six rows of which one is altered: five are replayed, and the rate is that of the four decided ones."""
    from lossimpl.judgement import Judgement

    file = stored()
    row = json.loads(file.read_text())
    rows = [identity.identified(row | {"commit": "0123456789abcdef", "session": name}) for name in "abcdef"]
    rows[0] |= {"peak_bytes": 1}
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    verdicts = ("reproduced", "not reproduced", "reproduced", "inconclusive", "reproduced")
    found = [Judgement(one, ("because",)) for one in verdicts]
    monkeypatch.setattr("lossimpl.measured_again.judged", lambda rows, rounds: found[: len(rows)])
    for place in (file, "0123456"):
        result = call(replay, place, "--all", "--in", file)
        assert result.exit_code == 1
        assert "x.rows.jsonl, row 1: checksum: the row was changed after it was written" in result.output
        last = result.output.splitlines()[-1]
        assert last.startswith("reproduced: 3 of 4 decided rows, 75 % (19 to 99 %); inconclusive: 1;")
    assert "2 of 5 rows that can be replayed, of 6 in all" in call(replay, file, "--all", "--sample", 2).output
    assert "no row of such a commit" in plain(call(replay, "7777777", "--all", "--in", file).output)


def written(file, row):
    """The file with this row alone."""
    file.write_text(json.dumps(row) + "\n")
    return file


def plain(output):
    """The words of a message in a frame."""
    return " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "digits", "message"),
    [
        ("", "0123", "no row of a loss"),
        ("{", "0123", "line 1: Expecting"),
        ('{"implementation": "torch"}', "0123", "has no row with this id"),
        ('{"implementation": "torch"}', "mse_loss", "4 to 12 hexadecimal digits"),
    ],
)
def test_a_bad_request_says_what_is_allowed(tmp_path, monkeypatch, text, digits, message):
    """Exit code 2, as for every wrong argument."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing was compared"))
    file = tmp_path / "x.rows.jsonl"
    file.write_text(text)
    result = call(replay, digits, "--in", file)
    assert result.exit_code == 2
    assert message in plain(result.output)


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
