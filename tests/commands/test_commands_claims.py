"""`lossimpl claims`: lists, runs by name, writes its numbers, and goes on after a broken experiment."""

import csv
import json

from typer.testing import CliRunner

from lossimpl import claims, cli
from lossimpl.claims.support import run as runner


def run(*arguments):
    """The command."""
    return CliRunner().invoke(cli.assemble(), ["claims", *map(str, arguments)])


def test_the_list_has_every_claim():
    """By name, without running anything."""
    output = run("--list").output
    assert [name for name in claims.names() if f"{name}:" not in output] == []


def test_an_unknown_name_is_refused():
    """With the names that there are."""
    found = run("free_lunch")
    assert found.exit_code == 2
    assert "free_lunch" in found.output
    assert "kink_at_zero" in found.output


def test_numbers_are_written_as_json_and_csv(tmp_path):
    """The verdict of each seed, each criterion, and each point of the figure."""
    found = run("kink_at_zero", "--seeds", 2, "--json", tmp_path / "a.jsonl", "--csv", tmp_path / "numbers")
    assert found.exit_code == 0
    assert "2 of 2 seeds" in found.output
    (record,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    points = list(csv.DictReader((tmp_path / "numbers" / "kink_at_zero.csv").open()))
    criteria = list(csv.DictReader((tmp_path / "numbers" / "criteria.csv").open()))
    assert len(points) == 2 * len(record["points"])
    assert [one["criterion"] for one in criteria] == 2 * list(claims.get("kink_at_zero").criteria)


def test_a_broken_experiment_does_not_end_the_others(monkeypatch):
    """It is named with its reason, and the exit code is 1."""
    whole = runner.run

    def broken(name, seed):
        if name == "kink_at_zero":
            raise ModuleNotFoundError("sklearn: not installed")
        return whole(name, seed)

    monkeypatch.setattr(runner, "run", broken)
    found = run("kink_at_zero", "smooth_l1_and_huber")
    assert found.exit_code == 1
    assert "kink_at_zero: ModuleNotFoundError: sklearn: not installed" in found.output
    assert "Huber's limit is half" in found.output.replace("\n", " ")
