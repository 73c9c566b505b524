"""The search: the answer from rows, results that are written as they come, going on after an interrupt."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from lossimpl.loading.data.verdict import AUGMENTATION, ORDER, SAME
from lossimpl.loading.harness import processes
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.search import answer
from lossimpl.loading.search.search import Measured, Search, survivors
from lossimpl.loading.search.store import Store, key_of
from lossimpl.loading.search.summary import Summary, latest, show
from lossimpl.loading.settings import Settings


def row(workers, rate, spread=0.05, verdict=SAME, stall=0.5, pss=100, status="ok", **more):
    """A row with what the answer needs."""
    ends = {"epoch_rate": rate, "epoch_rate_low": rate * (1 - spread), "epoch_rate_high": rate * (1 + spread)}
    known = {"status": status, "verdict": verdict, "stall_fraction": stall, "pss_bytes": pss, "step": 0.01}
    return Measured("any", vars(Settings(num_workers=workers)), **known, **ends, **more)


def test_the_fastest_with_the_same_data_is_the_answer():
    """One that reorders is offered apart, wrong data never."""
    rows = [row(0, 100), row(1, 200), row(2, 300, verdict=ORDER), row(3, 400, status="wrong-data")]
    found = answer.choose(rows, stall_bound=0.05)
    assert (found.best, found.reordered, found.refused) == (rows[1], rows[2], [rows[3]])
    assert all(one.status == "ok" for one in found.pareto)


def test_overlapping_intervals_are_not_ranked():
    """Of two that are statistically tied and nearly equal the smaller is taken, and the other named beside it."""
    rows = [row(4, 101), row(1, 100), row(0, 50)]
    found = answer.choose(rows, stall_bound=0.05)
    assert (found.best, list(found.tied)) == (rows[1], [rows[0]])


def test_a_much_faster_setting_is_preferred_to_a_small_one():
    """Overlap alone does not make 20 percent slower good enough."""
    rows = [row(4, 120, spread=0.2), row(1, 100, spread=0.2)]
    assert answer.choose(rows, 0.05).best == rows[0]


def test_the_smallest_under_the_stall_bound():
    """The fewest workers that keep the stall under it, even where more are faster."""
    rows = [row(0, 100, stall=0.3), row(1, 200, stall=0.04), row(2, 400, stall=0.01)]
    assert answer.choose(rows, 0.05).smallest == rows[1]


def test_the_pareto_leaves_out_what_is_beaten_in_all_three():
    """Slower, waits longer, needs more memory."""
    rows = [row(2, 400, stall=0.1, pss=100), row(1, 100, stall=0.2, pss=200), row(0, 50, stall=0.3, pss=50)]
    assert list(answer.choose(rows, 0.05).pareto) == [rows[0], rows[2]]


def test_nothing_measured_is_no_answer():
    """And no rate is ever infinite."""
    assert answer.choose([], 0.05).best is None
    assert answer.choose([row(0, 0.0)], 0.05).best is None


def test_the_answer_mentions_other_augmentation():
    """The sentence does not promise more than the verdict."""
    assert "other augmentation" in answer.sentence(row(1, 100, verdict=AUGMENTATION))


def test_survivors_include_ties_with_the_best():
    """The better third, and as many again that overlap with it."""
    found = {Settings(num_workers=number): row(number, 100 + number, spread=0.5) for number in range(6)}
    assert [one.num_workers for one in survivors(found)] == [5, 4, 3, 2]


def test_a_store_finds_what_it_wrote_and_forgives_a_cut_line(tmp_path):
    """A line that a crash cut off is measured again, and what follows it is not spoilt."""
    path = tmp_path / "results.jsonl"
    store = Store(path)
    store.answer({"a": 1}, lambda: {"value": 1})
    with path.open("a") as file:
        file.write('{"key": "cut')
    again = Store(path)
    assert again.answer({"a": 1}, lambda: {"value": 2})["value"] == 1
    again.answer({"b": 1}, lambda: {"value": 3})
    assert Store(path).records[key_of({"b": 1})]["value"] == 3


def test_a_resumed_search_measures_nothing_twice(bench, tmp_path):
    """The second search answers from the file what the first one measured."""
    axes = {"num_workers": (0, 1)}
    first = Search(bench("good"), Settings(batch_size=8), axes, 20.0, Store(tmp_path / "results.jsonl"))
    first.screen()
    second = Search(bench("good"), Settings(batch_size=8), axes, 20.0, Store(tmp_path / "results.jsonl"))
    second.bench.measure = lambda *args: pytest.fail("measured again")
    second.screen()
    assert sorted(one.key for one in first.rows) == sorted(one.key for one in second.rows)


def command(*arguments, environment=(), **more):
    """The command as its own process."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    program = "from lossimpl.commands.loaders import loaders; import typer; typer.run(loaders)"
    call = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(call, env={**os.environ, "PYTHONPATH": path, **dict(environment)}, text=True, **more)


KILLS = [pytest.param(kind, marks=pytest.mark.slow) for kind in (signal.SIGKILL, signal.SIGTERM)]


@pytest.mark.parametrize("kind", [signal.SIGINT, *KILLS])
def test_an_interrupt_keeps_the_rows_and_leaves_nothing(tmp_path, place, kind):
    """Ctrl-C prints what was found; even a kill leaves the file, and no process (`place` looks for the rest)."""
    results = tmp_path / "results.jsonl"
    arguments = ("--dataset", "loading_faults:good", "--batch-size", "8", "--budget", "300", "--output", str(results))
    own = {"TMPDIR": str(place)}
    running = command(*arguments, environment=own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 90
    while time.monotonic() < until and (not results.exists() or results.read_text().count("\n") < 2):
        time.sleep(0.1)
    below = [psutil.Process(pid) for pid in processes.descendants(running.pid)]
    running.send_signal(kind)
    text, _ = running.communicate(timeout=60)
    _, alive = psutil.wait_procs(below, timeout=20)
    assert alive == []
    assert all(json.loads(line)["key"] for line in results.read_text().splitlines())
    assert results.read_text().count("\n") >= 2
    if kind == signal.SIGINT:
        assert (running.returncode, text != "") == (130, True)


def test_the_command_reports_an_invalid_request(tmp_path):
    """As status `invalid` with the argument, and the exit code says that there is no answer."""
    arguments = ("--set", "prefetch_factor=0", "--set", "num_workers=1", "--dataset", "loading_faults:good")
    running = command(*arguments, "--output", str(tmp_path / "r.jsonl"), "--json", stdout=subprocess.PIPE)
    text, _ = running.communicate(timeout=120)
    summary = json.loads(text)
    assert (running.returncode, summary["refused"][0]["status"]) == (1, "invalid")
    assert "prefetch_factor" in summary["refused"][0]["reason"]


def test_a_failure_of_many_settings_is_printed_once_and_as_it_is():
    """Square brackets in a dataset's message are no markup, also where they look like a closing tag."""
    failed = {"status": "error", "reason": "ValueError: [/data/7.jpg] bad", "advice": "look at [it]"}
    rows = [Measured("any", vars(Settings(num_workers=count)), **failed) for count in (0, 1, 2)]
    console = Console(width=400, file=io.StringIO())
    show(summary(answer.choose(rows, 0.05)), console)
    text = console.file.getvalue()
    assert text.count("error: ValueError: [/data/7.jpg] bad -> look at [it]") == 1
    assert text.count("num_workers=") == 2
    reordered = answer.choose([row(0, 100, verdict=ORDER), *rows], 0.05)
    assert summary(reordered).sentence == "no setting keeps the order of num_workers=0"
    assert summary(answer.choose(rows, 0.05)).sentence.endswith("error: ValueError: [/data/7.jpg] bad")


def summary(found):
    """A summary of an answer and nothing else."""
    return Summary("any", found, (), (), Inspection(Outcome()), 0.05, 10.0, 1.0, False)


def test_the_record_of_a_summary_has_the_documented_names():
    """Programs read them: the answer's rows are lines like those before it, and JSON holds all of it."""
    record = summary(answer.choose([row(1, 100, key="k", budget=2.0)], 0.05)).record()
    assert list(record) == [
        *("key", "kind", "dataset", "sentence", "best", "tied", "smallest", "reordered", "pareto", "refused"),
        *("arguments", "others", "facts", "findings", "cost", "stall_bound", "budget", "seconds", "interrupted"),
    ]
    assert (record["best"]["key"], record["best"]["budget"], record["best"]["epoch_rate"]) == ("k", 2.0, 100)
    assert json.loads(json.dumps(record))["best"]["scenario"]["num_workers"] == 1


def test_the_latest_row_of_a_setting_is_the_one_with_a_verdict():
    """Of rows with a verdict the longest counts, and one without never hides it."""
    short, long = row(1, 100, budget=0.5), row(1, 90, budget=1.0)
    unjudged = row(1, 120, budget=9.0, verdict=None)
    assert latest([long, short, unjudged]) == [long]
    assert latest([unjudged]) == [unjudged]
