"""The PR gate from commits to exit code, on a toy project: everything is real except the times."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import LOADER, Toy, verdicts

from reports.forge import artifact
from reports.gate import bench, instructions, selftest
from reports.gate.draft import Plan
from reports.gate.run import compare

ROOT = Path(__file__).parents[2]
SLOW_NATIVE = ('"native": 1e-3', '"native": 1.2e-3')


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_DRAWS", str(tmp_path / "draws"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(instructions, "unavailable", lambda: "the clock is simulated")
    return Toy(tmp_path / "project")


def judged(toy, folder, **plan):
    plan = {"budget": 120.0, "silence": 20.0, **plan}
    folder.mkdir()
    return compare(Plan(toy.folder, toy.base, "HEAD", **plan), folder)


@pytest.mark.slow
def test_planted_speedup_is_faster_and_no_failure(toy, tmp_path):
    """-30 % in `naive`: faster, exit 0."""
    toy.replace("toy/__init__.py", '"naive": 4e-3', '"naive": 2.8e-3')
    toy.commit("Speed up naive")
    outcome = judged(toy, tmp_path / "work")
    assert [row.verdict for row in outcome.rows if row.params[0] == "naive"] == ["faster", "faster"]
    assert outcome.exit_code == 0


@pytest.mark.slow
def test_agreement_memory_and_saved_bytes_regress_without_time(toy, tmp_path):
    """With equal times, error, peak memory and saved bytes grow: three regressions per row, exit 1."""
    toy.replace("toy/__init__.py", "1e-6", "9e-6")
    toy.replace("toy/__init__.py", "1_000_000", "1_500_000")
    toy.replace("toy/__init__.py", "500_000,", "750_000,")
    toy.commit("Lose digits and memory")
    outcome = judged(toy, tmp_path / "work")
    for row in outcome.rows:
        assert [change.what for change in row.changes if change.worse] == ["value_max_rel", "peak_bytes", "saved_bytes"]
        assert row.verdict == "same"
    assert outcome.exit_code == 1


def test_base_that_does_not_build(toy, tmp_path):
    """A broken pyproject.toml on base: no row, a fault with the side and the error, exit 2."""
    good = (toy.folder / "pyproject.toml").read_text()
    toy.write("pyproject.toml", good.replace("packages = [", "packages = [[["))
    toy.base = toy.commit("Break the build")
    toy.write("pyproject.toml", good)
    toy.commit("Mend the build")
    outcome = judged(toy, tmp_path / "work")
    (fault,) = outcome.faults
    assert fault.text.startswith("build base: ")
    assert "error" in fault.text.lower()
    assert outcome.exit_code == 2


@pytest.mark.slow
def test_benchmark_on_one_side_only_and_a_renamed_one(toy, tmp_path):
    """A new implementation that base lacks and a renamed class are named; the new name is compared."""
    toy.replace("benchmarks/loss.py", "class Loss", "class Renamed")
    toy.replace("benchmarks/loss.py", "loss.Loss.track", "loss.Renamed.track")
    toy.replace("benchmarks/loss.py", '("naive", "native")', '("naive", "native", "fused")')
    toy.replace("toy/__init__.py", '"native": 1e-3', '"native": 1e-3, "fused": 5e-4')
    toy.replace("toy/__init__.py", "return None", "return None  # fused is new")
    toy.replace("benchmarks/calls.py", "return toy.refusal(*params)", RUNS_IF_KNOWN)
    toy.commit("Rename a benchmark, add an implementation")
    outcome = judged(toy, tmp_path / "work")
    assert "loss.Renamed.track_seconds('fused', '8'): runs on head only: no fused" in outcome.notes
    assert outcome.removed == ()
    assert {row.benchmark for row in outcome.rows} == {"loss.Renamed.track_seconds"}
    assert set(verdicts(outcome).values()) == {"same"}
    assert (outcome.faults, outcome.exit_code) == ((), 0)


RUNS_IF_KNOWN = """try:
        toy.seconds(*params)
    except KeyError as missing:
        return f"no {missing.args[0]}"
    return None"""


@pytest.mark.parametrize(
    ("work", "text"),
    [
        ("import os; os.abort()", "crashed: killed by SIGABRT"),
        pytest.param("import time; time.sleep(60)", "timeout: no answer for 8 s", marks=pytest.mark.slow),
        pytest.param("raise ValueError('no such kernel')", "ValueError: no such kernel", marks=pytest.mark.slow),
    ],
)
def test_a_row_that_breaks_is_named_and_the_others_are_measured(toy, tmp_path, work, text):
    """`native` at 64 crashes, hangs or raises on head: a fault with its error; three rows measured; exit 2."""
    toy.replace("toy/__init__.py", "    pass\n", f"    if params == ('native', '64'):\n        {work}\n")
    toy.commit("Break one row")
    outcome = judged(toy, tmp_path / "work", silence=8.0)
    (fault,) = outcome.faults
    assert (fault.row, fault.side) == ("loss.Loss.track_seconds('native', '64')", "head")
    assert text in fault.text
    assert len(verdicts(outcome)) == 3
    assert set(verdicts(outcome).values()) == {"same"}
    assert outcome.exit_code == 2


@pytest.mark.slow
def test_a_benchmark_file_that_cannot_be_imported_is_a_fault(toy, tmp_path):
    """A new file with a missing import: a fault with the file; the rows of the other file are measured; exit 2."""
    toy.write("benchmarks/broken.py", "import nothing_of_this_name\n")
    toy.commit("Add a broken benchmark")
    outcome = judged(toy, tmp_path / "work", everything=True)
    assert {fault.row for fault in outcome.faults} == {"broken"}
    assert "nothing_of_this_name" in outcome.faults[0].text
    assert len(outcome.rows) == 4
    assert outcome.exit_code == 2


def test_a_loader_that_delivers_fewer_samples_per_second_is_slower(toy, tmp_path):
    """1,000 samples per second, now 800: the row takes 1.25 times as long per sample; the other setting is the same.

    Rows that measure themselves are joined by their parameters, numbers included.
    """
    toy.write("benchmarks/loading.py", LOADER)
    toy.base = toy.commit("Measure loaders")
    toy.replace("toy/__init__.py", "1000.0", "(800.0 if workers == 2 else 1000.0)")
    toy.commit("Slow down the workers")
    outcome = judged(toy, tmp_path / "work", budget=320.0)
    rows = {row.params: row for row in outcome.rows if row.benchmark.startswith("loading.")}
    assert {params: row.verdict for params, row in rows.items()} == {
        ("digits", 0, False): "same",
        ("digits", 2, False): "slower",
    }
    assert rows["digits", 2, False].ratio == pytest.approx(1.25, rel=0.05)  # processes vary by 2 %
    assert (len(outcome.rows), outcome.faults, outcome.exit_code) == (6, (), 1)


def test_a_loader_that_delivers_other_samples_is_a_regression(toy, tmp_path):
    """Head's loader delivers wrong data: a named regression, not a row that could not be measured."""
    toy.write("benchmarks/loading.py", LOADER)
    toy.base = toy.commit("Measure loaders")
    toy.replace("toy/__init__.py", '"status": "ok", "att', '"reason": "sample 3 twice", "status": "wrong-data", "att')
    toy.commit("Deliver a sample twice")
    outcome = judged(toy, tmp_path / "work", budget=320.0)
    wrong = [row for row in outcome.rows if row.changes]
    assert {change.text for row in wrong for change in row.changes} == {
        "delivered correct samples, now wrong: sample 3 twice"
    }
    assert ({row.benchmark for row in wrong}, len(wrong)) == ({"loading.Loading.track_seconds_per_sample"}, 2)
    assert (outcome.faults, outcome.exit_code) == ((), 1)


def test_a_change_that_affects_no_row_measures_nothing(toy, tmp_path):
    """A change of the documentation: nothing is run, exit 0."""
    toy.write("README.md", "words\n")
    toy.commit("Write words")
    outcome = judged(toy, tmp_path / "work")
    assert (outcome.rows, outcome.faults, outcome.coverage, outcome.exit_code) == ((), (), 1.0, 0)
    assert outcome.notes == ("no code that a benchmark executes differs: nothing was built or measured",)


def test_a_revision_that_does_not_exist(toy, tmp_path):
    """The fault names the revision; exit 2."""
    toy.base = "no-such-branch"
    outcome = judged(toy, tmp_path / "work")
    assert outcome.faults[0].text == "'no-such-branch' is not a revision of this repository"
    assert outcome.exit_code == 2


def command(toy, *arguments, **variables):
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    script = "import runpy; from reports.gate import instructions; instructions.unavailable = lambda: 'simulated';"
    script += "runpy.run_module('reports', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", script, "gate", "--base", toy.base, *arguments], {
        "cwd": toy.folder,
        "env": everything,
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }


def test_command_flags_the_planted_slowdown_and_nothing_else(toy, tmp_path):
    """+20 % in `native` only: its rows are slower by about that, with an interval around it, `naive` the same, exit 1.

    The comment is printed and written, also as the summary of a job; the JSON and the page have every process; the page
    needs no network. The job that posts comments reads the JSON.
    """
    toy.replace("toy/__init__.py", *SLOW_NATIVE)
    toy.commit("Slow down native")
    files = [tmp_path / "gate.json", tmp_path / "comment.md", tmp_path / "site"]
    arguments = ["--budget", "2m", "--json", files[0], "--markdown", files[1], "--out", files[2]]
    summary = tmp_path / "summary.md"
    line, options = command(toy, *map(str, arguments), GITHUB_STEP_SUMMARY=str(summary))
    done = subprocess.run(line, **options)
    assert done.returncode == 1, done.stderr
    assert "### Performance gate: regression (2 slower, 2 same)" in done.stdout
    assert files[1].read_text().strip() in done.stdout
    assert summary.read_text() == files[1].read_text()
    outcome = json.loads(files[0].read_text())
    assert {(row["params"][0], row["verdict"]) for row in outcome["rows"]} == {("native", "slower"), ("naive", "same")}
    slower = [row for row in outcome["rows"] if row["verdict"] == "slower"]
    assert all(row["ratio"] == pytest.approx(1.2, rel=0.04) for row in slower)  # processes vary by 2 %
    assert all(1 < row["low"] < row["ratio"] < row["high"] for row in slower)
    assert all(len(row["base_seconds"]) == len(row["head_seconds"]) == row["pairs"] for row in outcome["rows"])
    assert outcome["commits"][0].endswith("Slow down native")
    assert artifact.read(files[0], outcome["head"]).exit_code == 1
    html = (files[2] / "gate.html").read_text()
    assert html.count("<circle") == sum(2 * row["pairs"] for row in outcome["rows"])
    assert "http" not in html


@pytest.mark.slow
def test_the_self_test_finds_its_plants_and_nothing_in_identical_code(toy, tmp_path, monkeypatch):
    """On the toy: no row of identical code is flagged, every +20 % and every +50 % is found."""
    toy.replace("benchmarks/loss.py", '("naive", "native")', '("vectorized", "native")')
    toy.replace("toy/__init__.py", '"naive"', '"vectorized"')
    toy.replace("benchmarks/loss.py", '("8", "64")', '("8", "16", "24", "32", "40", "48", "56", "64")')
    toy.commit("Enough rows for every plant")
    for module in (bench, selftest):
        monkeypatch.setattr(module, "SHAPES", ("8", "16", "24", "32", "40", "48", "56", "64"))
    monkeypatch.setattr(selftest, "PLANTED_ROWS", 4)
    monkeypatch.setattr(selftest, "STRUCTURAL", ())
    monkeypatch.setattr(selftest, "SIZES", (0.2, 0.5))
    monkeypatch.setattr(selftest, "LOADS", (1,))
    record = selftest.measured(bench.Bench(toy.folder, "HEAD", tmp_path / "work"), 900.0)
    assert (record["rows_of_identical_code"], record["flagged_by_time"], record["faults"]) == (16, 0, 0)
    (loaded,) = record["beside_busy_processes"]
    assert (loaded["flagged_identical"], loaded["found_of_20_percent"]) == (0, 4)
    found = {one["planted"]: (one["found"], one["rows"]) for one in record["detection"]}
    assert found == {"+20% busy": (4, 4), "+50% busy": (5, 5)}
    assert all(1 < row["smallest_detectable_ratio"] < 1.2 for row in record["rows"])


@pytest.mark.slow
def test_full_disk_loses_nothing(toy, tmp_path):
    """If no report can be written, its content is printed and the exit code is 2."""
    toy.commit("Nothing changed")
    script = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    script += "from reports.gate import command;"
    script += "write = command._write;"
    script += "limit = lambda *a: (resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)), write(*a))[1];"
    script += "command._write = limit;"
    line, options = command(toy, "--all", "--budget", "40s", "--json", str(tmp_path / "gate.json"))
    done = subprocess.run([*line[:2], script + line[2], *line[3:]], **options)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert '"base_seconds"' in done.stderr
    assert "### Performance gate" in done.stdout


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ZeroDivisionError("a bug of ours"), "ZeroDivisionError: a bug of ours"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_trouble_while_building(toy, tmp_path, monkeypatch, trouble, text):
    """A full disk, a bug of the gate or Ctrl-C: a fault with the reason and exit 2, not 1, which means a regression."""

    def fail(*arguments):
        raise trouble

    toy.replace("toy/__init__.py", *SLOW_NATIVE)
    toy.commit("Change what is executed")
    monkeypatch.setattr("lossimpl.building.export", fail)
    outcome = judged(toy, tmp_path / "work")
    assert text in outcome.faults[0].text
    assert outcome.exit_code == 2


@pytest.mark.slow
def test_interrupt_keeps_what_was_measured(toy, tmp_path):
    """Ctrl-C: exit 2, the rows measured so far are reported, and no worker is left."""
    toy.replace("toy/__init__.py", "    pass\n", "    import time; time.sleep(0.02)\n")
    toy.commit("Take long enough to be interrupted")
    line, options = command(toy, "--all", "--budget", "5m", "--json", str(tmp_path / "gate.json"))
    running = subprocess.Popen(line, **options, start_new_session=True)
    while not (tmp_path / "draws").exists() or len((tmp_path / "draws").read_text()) < 18:
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 2, err
    assert "interrupted" in out
    outcome = json.loads((tmp_path / "gate.json").read_text())
    assert [group["rows"] for group in outcome["groups"]] == [1] * 4
    assert any(row["pairs"] for row in outcome["rows"])
    left = subprocess.run(["pgrep", "-g", str(running.pid)], capture_output=True, text=True).stdout
    assert left == ""
