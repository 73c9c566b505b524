"""Rows measured with the code of their commit: what is built and measured, and what cannot be."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lossimpl import building, cli, environment, lookup, measured_again, rounds
from lossimpl.building import Unmeasurable
from lossimpl.forks import Task
from lossimpl.rounds import RULE
from lossimpl.spec import Case

ROOT = Path(__file__).parents[1]
CASE = Case("mse_loss", (8, 4))
ROW = {"implementation": "torch", "loss": "mse_loss", "shape": "8x4", "dtype": "float32", "device": "cpu"}
ROW |= {"mode": "step", "status": "unavailable", "reason": "", "format": 2, "rounds": []}


def git(folder, *arguments):
    """What git answers in a folder."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(folder, name, text):
    """The commit of a repository after a file of it was written."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty repository, in which the test runs, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    monkeypatch.chdir(folder)
    return folder


def refusal(repository, commit):
    """Why there is no server for a commit, in one line."""
    with pytest.raises(Unmeasurable) as refused, measured_again.server_at(repository, commit):
        pass
    return str(refused.value)


def test_the_code_of_the_commit_is_measured(tmp_path, monkeypatch):
    """A commit whose `vectorized` gives twice the loss: it is wrong there, and right in the installed package."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measured_again, "NATIVE", "")  # its kernels take minutes to build
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    path = clone / "lossimpl" / "losses" / "mse_loss.py"
    text = path.read_text()
    assert "(x - y).square()" in text
    commit = committed(clone, str(path.relative_to(clone)), text.replace("(x - y).square()", "2 * (x - y).square()"))
    with measured_again.server_at(clone, commit) as server:
        outcome = server.run(Task(CASE, ("vectorized", "torch"), 1, RULE), 60.0)
        refused = server.run(Task(CASE, ("nope",), 1, RULE), 60.0)
    assert [row.status for row in outcome.rows] == ["wrong", "ok"]
    assert "got 'nope'" in refused.reason
    assert [row.status for row in rounds.measure_round(CASE, ["vectorized"])] == ["ok"]


def test_a_commit_that_is_not_there(repository, tmp_path):
    """Unknown, cut off from a shallow clone, or no repository at all: one line each."""
    first = committed(repository, "a", "1")
    committed(repository, "a", "2")
    assert refusal(repository, "0" * 40) == f"{'0' * 40!r} is not a revision of this repository"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    assert "its clone is shallow: `git fetch --unshallow` brings the others" in refusal(tmp_path / "shallow", first)
    (tmp_path / "plain").mkdir()
    assert "is not in a git repository" in refusal(tmp_path / "plain", first)


def test_a_commit_that_cannot_be_measured(repository):
    """One before there were rounds, and one that does not build: the commit and the reason."""
    old = committed(repository, "lossimpl/__init__.py", "")
    assert refusal(repository, old) == f"commit {old[:8]} measures no rounds, since it has no lossimpl/rounds.py"
    committed(repository, "lossimpl/rounds.py", "")
    broken = committed(repository, "pyproject.toml", "[project\n")
    assert refusal(repository, broken).startswith(f"build commit {broken[:8]}: ")


def replayed(*arguments):
    """The command line, and its words without the frame."""
    result = CliRunner().invoke(cli.assemble(), ["replay", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


def test_at_commit_on_the_command_line(repository, tmp_path):
    """A row whose commit is unknown here, and a row without a commit: exit code 2, nothing measured."""
    for name, message in (("01234567-env.rows.jsonl", "'01234567' is not a revision"), ("x.jsonl", "names no commit")):
        file = tmp_path / name
        file.write_text(json.dumps(ROW) + "\n")
        code, said = replayed(lookup.found_in(file).entries[0].id, "--in", file, "--at-commit")
        assert (code, message in said) == (2, True), said


def test_of_many_rows_those_of_a_lost_commit_are_not_comparable(repository, tmp_path):
    """Each with the reason; the verdicts are written all the same, and nothing is decided: exit code 3."""
    file, verdicts = tmp_path / "01234567-env.rows.jsonl", tmp_path / "machine" / "replay.json"
    file.write_text(json.dumps(ROW) + "\n")
    code, said = replayed(file, "--all", "--at-commit", "--json", verdicts)
    assert code == 3
    assert "not comparable: 1; altered: 0" in said
    (row,) = json.loads(verdicts.read_text())["rows"]
    assert (row["verdict"], "not a revision" in row["lines"][0]) == ("not comparable", True)


def test_rows_of_loader_settings_are_refused_by_name(tmp_path, monkeypatch):
    """Its id is found; the message says what it lacks and which command measures settings."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tmp_path / "01234567-env.rows.jsonl"
    loader = {"benchmark": "loading.Loading.track_seconds_per_sample", "params": ["'digits'"], "scenario": {}}
    file.write_text(json.dumps(ROW) + "\n" + json.dumps(loader) + "\n")
    (entry,) = lookup.found_in(file).loaders
    code, said = replayed(entry.id, "--in", file)
    assert code == 2
    assert "row 2 is a row of loader settings; rows of loader settings lack the rounds" in said


def test_another_architecture_is_the_first_difference(tmp_path):
    """The processor and its instructions before packages; with --at-commit the revision is no difference."""
    then = environment.manifest() | {"id": "then", "revision": "0123", "python": "3.10.0"}
    then["cpu"] = then["cpu"] | {"model": "Neoverse-V1", "instructions": ["asimd", "sve"]}
    file = tmp_path / "01234567-env.rows.jsonl"
    file.write_text(json.dumps(ROW | {"manifest": "then"}) + "\n")
    file.with_name("01234567-env.manifest.jsonl").write_text(json.dumps(then) + "\n")
    (entry,) = lookup.found_in(file).entries
    lines = measured_again.environment_lines(entry, at_commit=True)
    assert [line.split(":")[0].strip() for line in lines] == ["environment", "cpu.model", "cpu.instructions", "python"]
    assert any("revision" in line for line in measured_again.environment_lines(entry, at_commit=False))


def test_an_unknown_version_of_the_record_is_named(tmp_path):
    """A row of a later format: exit code 2 with the version that is read."""
    file = tmp_path / "01234567-env.rows.jsonl"
    file.write_text(json.dumps(ROW | {"format": 99}) + "\n")
    code, said = replayed(lookup.found_in(file).entries[0].id, "--in", file)
    assert code == 2
    assert "format: 99 is unknown, this version reads 2" in said


def test_nothing_reaches_the_environment_of_the_user(repository, monkeypatch):
    """Every pip command names the interpreter of another environment, or only builds a wheel."""
    commands = []
    monkeypatch.setattr(
        building, "checked", lambda command, step, variables=None: commands.append([*map(str, command)])
    )
    monkeypatch.setattr(building, "_wheel", lambda name, source, place: place / "x.whl")
    place = repository / "place"
    python = building.install("x", place, building.overlay.running())
    assert python.is_relative_to(place)
    (command,) = commands
    assert command[command.index("--python") + 1] == str(python)
