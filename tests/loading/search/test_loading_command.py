"""`lossimpl loaders` as a user sees it: what comes when, within which time, from odd datasets and from observations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PROGRAM = "from lossimpl.commands.loaders import loaders; import typer; typer.run(loaders)"
SOON = 20.0  # seconds until the first useful line


def start(*arguments, folder):
    """The command as its own process, with the datasets that fail in its search path."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    call = [sys.executable, "-u", "-c", PROGRAM, *arguments, "--output", str(folder / "results.jsonl")]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(call, env={**os.environ, "PYTHONPATH": path}, text=True, cwd=folder, **streams)


class Watched:
    """A finished command, with the time at which each line of its stderr came."""

    def __init__(self, running):
        began, self.lines = time.monotonic(), []
        printed = []
        reader = threading.Thread(target=lambda: printed.append(running.stdout.read()))
        reader.start()
        for line in running.stderr:
            self.lines.append((time.monotonic() - began, line.rstrip()))
        reader.join()
        running.wait()
        self.seconds, self.text, self.code = time.monotonic() - began, printed[0], running.returncode

    def first(self, words):
        """When the first line with these words came."""
        return next(at for at, line in self.lines if words in line)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of 15 s over a good dataset, from an observation."""
    folder = tmp_path_factory.mktemp("search")
    observed = {"kind": "observation", "settings": {"batch_size": 4}, "suggestions": [{"num_workers": 1}]}
    (folder / "observed.json").write_text(json.dumps({**observed, "step_seconds": 0.002, "stall_fraction": 0.9}))
    arguments = ("--dataset", "loading_faults:good", "--budget", "15", "--from", "observed.json", "--json")
    found = Watched(start(*arguments, folder=folder))
    assert found.code == 0, found.lines
    return found


def test_useful_lines_come_early_and_rows_as_they_are_measured(searched):
    """What was inspected within 20 s, rows before the end, one line each."""
    assert searched.first("Inspected: constructed in") < SOON
    assert searched.first("samples/s  batch_size=4") < SOON
    assert sum("samples/s  batch_size=4" in line for _, line in searched.lines) >= 3


def test_a_search_starts_from_what_was_observed(searched):
    """Its batch size and step for all rows, and first the settings that were suggested."""
    tried = json.loads(searched.text)["tried"]
    assert {(row["scenario"]["batch_size"], row["step"]) for row in tried} == {(4, 0.002)}
    rows = [line.partition("samples/s  ")[2] for _, line in searched.lines if "samples/s  " in line]
    assert rows[:2] == ["batch_size=4", "batch_size=4, num_workers=1"]


def test_the_budget_holds_from_start_to_end(searched):
    """15 s and 15 percent of it; importing torch twice, on a busy machine, is what the rest is for."""
    assert json.loads(searched.text)["seconds"] <= 1.15 * 15
    assert searched.seconds <= 1.15 * 15 + 15


def test_the_answer_has_what_else_a_user_should_know(searched):
    """How much of the data was read, growth, construction, and the cost of a sample, by name."""
    summary = json.loads(searched.text)
    assert "in all 64 samples of 2 epochs" in summary["sentence"]
    assert summary["best"]["pss_growth_bytes"] is not None
    assert len(summary["cost"]["slowest"]) == 3
    assert {"lines", "needed", "stopped"} <= summary.keys()


def test_what_a_dataset_says_is_printed_as_it_is(tmp_path):
    """Square brackets are no markup, and names between colons no emoji; one message for three settings."""
    found = Watched(start("--dataset", "loading_faults:Markup", "--budget", "20", folder=tmp_path))
    text = " ".join(found.text.split())
    assert (found.code, "[bold]not markup[/] :fire: [/red]" in text) == (1, True), text
    assert "No answer: no setting can be used (the first 3 settings failed)" in text
    assert text.count("not markup") == 1


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("needs_argument", "the factory needs arguments (path)"),
        ("LengthRaises", "the index is gone"),
        ("exits", "goodbye"),
    ],
)
def test_a_dataset_that_cannot_be_made_ends_at_once(tmp_path, dataset, words):
    """With exit code 1 and its own words, without trying other settings."""
    found = Watched(start("--dataset", f"loading_faults:{dataset}", "--budget", "60", folder=tmp_path))
    assert (found.code, words in " ".join(found.text.split()), found.seconds < 40) == (1, True, True), found.text
