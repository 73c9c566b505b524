"""The environment of a side: what can be asked for, what is installed where, and what the report says it changes."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from toy import Toy, verdicts

from lossimpl import building, overlay
from lossimpl.building import Unmeasurable
from reports.gate import effects, environments, instructions, render
from reports.gate.draft import Plan
from reports.gate.environments import prepared, specification
from reports.gate.outcome import Effect
from reports.gate.processes import Answers, Failure
from reports.gate.run import compare
from reports.record.rows import Row

ROW = Row("loss.Loss.track_seconds", ("native", "8"))


def wheel(folder, version):
    """A package `tiny` of this version, with no other file than its module and its metadata."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as file:
        file.writestr("tiny.py", f"VERSION = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A cache of its own, and a folder of two wheels as the only place where packages come from."""
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "wheels", version)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


def asked(base, code):
    """What the interpreter of an overlay on this environment prints."""
    place = building.cache_folder() / "side"
    overlay.make(place, base)
    done = subprocess.run([place / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_packages_are_installed_once_and_beside_everything_else(index, monkeypatch):
    """The version asked for is imported beside the running torch; neither this environment nor pip is touched again."""
    base = prepared(specification("tiny==2.0 NAME=value"))
    assert asked(base, "import tiny, torch; print(tiny.VERSION)") == "2.0"
    assert find_spec("tiny") is None
    monkeypatch.setattr(building, "checked", lambda *arguments: pytest.fail("installed again"))
    assert prepared(specification("tiny==2.0 NAME=other")) == base  # variables need no installation
    assert prepared(specification("NAME=value")) == overlay.running()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tiny==3.0", "cannot install tiny==3.0: No matching distribution found for tiny==3.0"),
        ("tiny==2.0 absent==1", "cannot install absent==1 tiny==2.0: No matching distribution found for absent==1"),
        ("python==3.99", "there is no interpreter 'python3.99' on this machine"),
        ("python=/bin/true", "/bin/true is no Python"),
        ("-r/x", "'-r/x' is no package (NAME==VERSION), Python (python==3.12) or variable (NAME=VALUE)"),
        ("NAME='", "No closing quotation"),
    ],
)
def test_what_cannot_be_had_is_named_in_one_line(index, text, message):
    """Packages that are not there, an interpreter, a word that is none of the three; nothing is left in the cache."""
    with pytest.raises(Unmeasurable) as refused:
        prepared(specification(text))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not [one for one in building.cache_folder().glob("environments/*") if one.suffix != ".lock"]


def test_another_python_gets_the_same_versions(index, monkeypatch):
    """Everything that a measurement imports is asked for, pinned to what runs here, but for what is asked otherwise."""
    commands, pins = [], []

    def noted(command, step, variables=None):
        commands.append([*map(str, command)])
        pins.append(command[command.index("-c") + 1].read_text())

    monkeypatch.setattr(building, "checked", noted)
    base = prepared(specification(f"python={sys.executable} numpy==2.0.1"))
    assert len(base.packages) == 1  # nothing is shared with the running interpreter
    (command,), (pinned,) = commands, pins
    assert {"numpy==2.0.1", "asv-runner"} < {*command}
    assert any(one.startswith("torch>=") for one in command)
    names = {line.partition("==")[0] for line in pinned.splitlines()}
    assert "torch" in names
    assert "numpy" not in names


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A project whose times and bits depend on the environment."""
    monkeypatch.setenv("TOY_DRAWS", str(tmp_path / "draws"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(instructions, "unavailable", lambda: "the clock is simulated")
    toy = Toy(tmp_path / "project")
    toy.write("toy/__init__.py", "import os\n" + (toy.folder / "toy/__init__.py").read_text())
    toy.replace("toy/__init__.py", "int(size) / 64)", 'int(size) / 64) * float(os.environ.get("TOY_FACTOR", 1))')
    bits = '"bits": {"value": {"digest": os.environ.get("TOY_FACTOR", "1"), "elements": "3f800000"}}, '
    toy.replace("toy/__init__.py", '"agreement": {', '"agreement": {' + bits)
    toy.commit("Depend on the environment")
    return toy


def judged(toy, folder, base_with, head_with):
    """The gate on one commit in two environments."""
    folder.mkdir()
    plan = {"budget": 120.0, "silence": 20.0, "base_with": base_with, "head_with": head_with}
    return compare(Plan(toy.folder, "HEAD", "HEAD", **plan), folder)


@pytest.mark.slow
def test_an_environment_is_compared_like_a_commit(toy, tmp_path):
    """Half as slow again by a variable: all rows slower, with other bits; the report says how to repeat it."""
    outcome = judged(toy, tmp_path / "work", "TOY_FACTOR=1", "TOY_FACTOR=1.5")
    assert {*verdicts(outcome).values()} == {"slower"}
    assert outcome.exit_code == 1
    (found,) = (one for one in outcome.effects if one.what == "bits of the value")
    assert (found.rows, found.differ) == (4, 4)
    text = render.markdown(outcome)
    assert 'BASE_WITH="TOY_FACTOR=1" HEAD_WITH="TOY_FACTOR=1.5"' in text
    assert "| bits of the value | 4 | 4 |" in text
    assert "bits of the value" in render.page(outcome)


@pytest.mark.slow
def test_equal_environments_flag_nothing(toy, tmp_path):
    """The same packages on both sides: every row is measured, none is flagged, no bit differs, exit 0."""
    outcome = judged(toy, tmp_path / "work", "TOY_FACTOR=1.5", "TOY_FACTOR=1.5")
    assert {*verdicts(outcome).values()} == {"same"}
    assert [one.differ for one in outcome.effects if one.differ] == []
    assert (outcome.faults, outcome.exit_code) == ((), 0)


def test_a_package_that_cannot_be_installed_ends_the_run(toy, tmp_path, monkeypatch):
    """One fault that names it, exit 2."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    outcome = judged(toy, tmp_path / "work", "", "tiny==3.0")
    (fault,) = outcome.faults
    assert fault.text == "environment: cannot install tiny==3.0: No matching distribution found for tiny==3.0"
    assert outcome.exit_code == 2


class Script:
    """A session whose workers answer as told; `again` are the records of base when it is checked once more."""

    def __init__(self, base=(), head=(), again=None, failure=None):
        self.sides = {name: SimpleNamespace(name=name) for name in ("base", "head")}
        self.answers = {"base": Answers([*base]), "head": Answers([*head], failure)}
        self.again = again or {}

    def ask(self, side, task, until):
        return self.answers[side.name]

    def check(self, side, rows, until):
        return {row: self.again[row] for row in rows if row in self.again}


def record(digest="0" * 16, elements="3f800000", peak=100, first=1.0):
    """What a check stores of a row."""
    bits = {"value": {"digest": digest, "elements": elements}}
    return {"agreement": {"bits": bits}, "peak_bytes": peak, "rounds": [{"first_call_seconds": first}]}


def test_the_last_bit_and_one_byte_are_effects():
    """One ULP, and a byte more; a row whose bits differ from call to call is not compared in these."""
    base, head = record(), record("1" * 16, "3f800001", peak=101)
    found = effects.effects(Script(), {ROW: base}, {ROW: head}, {})
    assert found == [
        Effect("bits of the value", 1, 1, False, f"{ROW}: 1 ULP apart"),
        Effect("peak memory", 1, 1, False, f"{ROW}: 100 -> 101 bytes"),
    ]
    unsteady = effects.effects(Script(again={ROW: head}), {ROW: base}, {ROW: head}, {})
    assert [one.what for one in unsteady] == ["peak memory"]


def test_first_calls_are_reported_as_a_mean():
    """Ten rows of which each takes twice as long at first: a ratio of 2, and no row that differs."""
    rows = [Row("loss.Loss.track_seconds", ("native", str(size))) for size in range(10)]
    found = effects.effects(Script(), {one: record() for one in rows}, {one: record(first=2.0) for one in rows}, {})
    (first,) = (one for one in found if one.what == "first call")
    assert (first.rows, first.differ, first.worse) == (10, None, False)
    assert "2.00×" in first.text


@pytest.mark.parametrize(("now", "worse"), [("fail", True), ("pass", False)])
def test_a_hard_case_that_only_base_passes_is_a_regression(now, worse):
    """The case is named with both verdicts; one that only head passes is an effect and no regression."""
    then = "pass" if now == "fail" else "fail"
    both = [[{"case": ["mse_loss", "empty", "native", "float32"], "status": one}] for one in (then, now)]
    found = effects.conformance(Script(*both))
    assert found == Effect("hard cases", 1, 1, worse, f"mse_loss empty native float32: {then} -> {now}")


def test_hard_cases_that_cannot_be_run_are_not_compared():
    """A commit before there were hard cases, or a process that died."""
    for script in (Script(head=[{"error": "No module named x"}]), Script(failure=Failure("crashed", "SIGSEGV"))):
        with pytest.raises(Unmeasurable, match=r"head: (No module named x|crashed: SIGSEGV)"):
            effects.conformance(script)


def test_kernels_of_another_python_are_kept_apart(index, monkeypatch):
    """The library that torch's tools build fits one Python only."""
    monkeypatch.setattr(building, "checked", lambda *arguments: None)
    wanted = specification(f"python={sys.executable} A=1")
    base = prepared(wanted)
    found = environments.variables_of(wanted, base)
    assert found["A"] == "1"
    assert found["TORCH_EXTENSIONS_DIR"].startswith(str(building.cache_folder() / "environments"))
    assert environments.variables_of(specification("A=1"), overlay.running()) == {"A": "1"}
