"""`lossimpl check`: whose failures count, and how an absent implementation is shown."""

import re
from types import SimpleNamespace

from typer.testing import CliRunner

from lossimpl import cli
from lossimpl.commands import check


def run(monkeypatch, rows, *arguments):
    """The command on results that are given."""
    monkeypatch.setattr(check, "_run", lambda todo, json: rows)
    monkeypatch.setattr(check, "_audit", lambda todo: None)
    return CliRunner().invoke(cli.assemble(), ["check", "mse_loss", *arguments])


def result(name, status):
    """One row of the table."""
    fields = {"case": "a case", "dtype": "float32", "reason": "off by one", "expected": 1, "source": "hand", "got": 2}
    return SimpleNamespace(loss="mse_loss", implementation=name, status=status, **fields)


def test_a_named_plug_in_that_fails_is_exit_1_with_reasons(monkeypatch):
    """torch is none of ours: its failures count if it is named, and only then."""
    rows = [result("torch", "fail"), result("torch", "pass")]
    named = run(monkeypatch, rows, "--implementation", "torch")
    assert named.exit_code == 1
    assert "off by one" in named.output
    assert run(monkeypatch, rows).exit_code == 0


def test_an_absent_implementation_is_one_line(monkeypatch):
    """Two rows of it, one line with its reason, none in the table."""
    output = run(monkeypatch, [result("torch", "pass"), *[result("liger", "unavailable")] * 2]).output
    assert len(re.findall("liger", output)) == 1
