"""The search: the answer from rows, results that are written as they come, going on after an interrupt."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from rich.console import Console

from lossimpl.loading.data.verdict import AUGMENTATION, ORDER, REPEATED, SAME
from lossimpl.loading.harness import processes
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.search import answer
from lossimpl.loading.search.measured import Measured, merged
from lossimpl.loading.search.race import Race, certainly_slower
from lossimpl.loading.search.search import Search
from lossimpl.loading.search.shown import show
from lossimpl.loading.search.space import default_axes, starters, twins, variants
from lossimpl.loading.search.store import Store, key_of
from lossimpl.loading.search.summary import Summary, paste
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts


def row(workers, rates, verdict=SAME, stall=0.5, pss=100, status="ok", **more):
    """A row with what the answer needs: one rate, or one per round."""
    rates = [rates] if isinstance(rates, int | float) else rates
    ends = {"epoch_rate": rates[0], "epoch_rate_low": min(rates), "epoch_rate_high": max(rates)}
    known = {"status": status, "verdict": verdict, "stall_fraction": stall, "pss_bytes": pss, "step": 0.01}
    known |= {"rounds": tuple(enumerate(rates))} | more
    return Measured("any", vars(Settings(num_workers=workers)), **ends, **known)


def test_the_fastest_with_the_same_data_is_the_answer():
    """One that reorders is offered apart, wrong data never."""
    rows = [row(0, [100] * 3), row(1, [200] * 3), row(2, [300] * 3, verdict=ORDER), row(3, 400, status="wrong-data")]
    found = answer.choose(rows, stall_bound=0.05)
    assert (found.best, found.reordered, found.refused) == (rows[1], rows[2], [rows[3]])
    assert all(one.status == "ok" for one in found.pareto)


def test_settings_that_are_nearly_equal_in_each_round_are_tied():
    """Of two that are statistically tied and nearly equal the smaller is taken, and the other named beside it."""
    rows = [row(4, [101, 99, 103]), row(1, [100, 100, 102]), row(0, [50, 50, 50])]
    found = answer.choose(rows, stall_bound=0.05)
    assert (found.best, list(found.tied)) == (rows[1], [rows[0]])


def test_a_slow_machine_slows_all_of_a_round_and_changes_no_answer():
    """Rates that vary threefold from round to round are compared within rounds."""
    rows = [row(2, [300, 100, 200]), row(1, [150, 50, 100]), row(0, [140, 52, 99])]
    assert answer.choose(rows, 0.05).best == rows[0]


def test_the_luckiest_of_single_values_is_not_the_answer():
    """A setting of one round does not beat one of three."""
    rows = [row(2, [300]), row(1, [200, 210, 205])]
    assert answer.choose(rows, 0.05).best == rows[1]


def test_settings_whose_draws_repeat_are_never_the_answer():
    """They are named, so that nobody takes the faster rate by hand."""
    frozen = row(4, [500] * 3, verdict=REPEATED, status="wrong-data")
    found = answer.choose([frozen, row(0, [100] * 3)], 0.05)
    assert (found.best.settings.num_workers, found.repeated) == (0, frozen)


def test_an_answer_from_rows_without_any_verdict_says_so():
    """As after a Ctrl-C in the first round."""
    found = answer.choose([row(workers, 100 + 10 * workers, verdict=None) for workers in range(7)], 0.05)
    assert (found.provisional, found.best.settings.num_workers) == (True, 6)
    assert "data not compared" in answer.sentence(found.best)


def test_the_sentence_says_how_much_of_the_data_was_read():
    """The first samples, or all of them."""
    part = row(1, 100, verdict_samples=64, verdict_whole=False, length=1797)
    assert "in the first 64 of 1,797 samples of 2 epochs" in answer.sentence(part)
    assert "in all 64 samples" in answer.sentence(replace(part, verdict_whole=True))


def test_the_smallest_under_the_stall_bound():
    """The fewest workers that keep the stall under it, even where more are faster."""
    rows = [row(0, [100] * 3, stall=0.3), row(1, [200] * 3, stall=0.04), row(2, [400] * 3, stall=0.01)]
    assert answer.choose(rows, 0.05).smallest == rows[1]


def test_the_pareto_leaves_out_what_is_beaten_in_all_three():
    """Slower, waits longer, needs more memory."""
    rows = [row(2, [400] * 3, stall=0.1), row(1, [100] * 3, stall=0.2, pss=200), row(0, [50] * 3, stall=0.3, pss=50)]
    assert list(answer.choose(rows, 0.05).pareto) == [rows[0], rows[2]]


def test_nothing_measured_is_no_answer():
    """And no rate is ever infinite."""
    assert answer.choose([], 0.05).best is None
    assert answer.choose([row(0, 0.0)], 0.05).best is None


def test_the_answer_mentions_other_augmentation():
    """The sentence does not promise more than the verdict."""
    assert "other augmentation" in answer.sentence(row(1, 100, verdict=AUGMENTATION))


@pytest.mark.parametrize(
    ("one", "other", "slower"),
    [
        ([10], [100], False),  # one value is no interval, however small
        ([10, 11], [100, 90], True),
        ([80, 99], [100, 100], False),
        ([85, 88, 89], [100] * 3, True),
        ([95] * 4, [100] * 4, True),
        ([97] * 6, [100] * 6, False),  # within the margin of four percent
    ],
)
def test_a_setting_is_dropped_only_where_every_round_agrees(one, other, slower):
    """By the margins of `race.MARGINS`."""
    assert certainly_slower(dict(enumerate(one)), dict(enumerate(other))) == slower


def test_a_race_drops_nothing_after_one_round():
    """Not even the slowest."""
    race = Race()
    for workers, rate in ((0, 306.0), (1, 309.0), (2, 30.0)):
        race.note(Settings(num_workers=workers), 0, rate)
    race.drop_slower()
    assert [one.num_workers for one in race.alive] == [1, 0, 2]


def test_the_row_of_a_setting_has_the_median_of_its_rounds():
    """With the interval over them; a failure in any round counts."""
    rounds = [replace(row(1, rate), number=number) for number, rate in enumerate((100, 300, 200))]
    assert (merged(rounds).epoch_rate, merged(rounds).rounds) == (200, ((0, 100), (1, 300), (2, 200)))
    assert merged([*rounds, row(1, 0.0, status="error")]).status == "error"


def test_the_first_settings_are_the_most_telling():
    """Without workers, then as many as cores, kept and not; the twins of a setting are simpler in one argument."""
    axes = default_axes(2, Facts())
    found = starters(Settings(), axes, Facts(), 2)
    assert [(one.num_workers, one.persistent_workers) for one in found[:3]] == [(0, False), (2, True), (2, False)]
    kept = Settings(num_workers=4, persistent_workers=True, prefetch_factor=4)
    simple = [one.changes(kept) for one in twins(kept, axes, Facts())]
    assert simple == [{"num_workers": 2}, {"persistent_workers": False}, {"prefetch_factor": None}]
    varied = {one.multiprocessing_context for one in variants(Settings(num_workers=2), axes, Facts())}
    assert varied == {None, "forkserver", "spawn"}


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
    settings = [Settings(batch_size=8), Settings(batch_size=8, num_workers=1)]
    first.round(0, settings, 0.5)
    second = Search(bench("good"), Settings(batch_size=8), axes, 20.0, Store(tmp_path / "results.jsonl"))
    second.bench.measure = lambda *args: pytest.fail("measured again")
    second.round(0, settings, 0.5)
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


def test_a_dataset_that_fails_everywhere_stops_after_three_settings(bench):
    """With one message that names all of them."""
    search = Search(bench("error_value_error"), Settings(batch_size=8), default_axes(2, Facts()), 60.0)
    search.run()
    assert len(search.rows) == 3
    assert search.stopped == "the first 3 settings failed"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("no_such_module_at_all:f", "no_such_module_at_all"),
        ("nope.py:f", "nope.py"),
        ("loading_faults:nobody", "nobody"),
    ],
)
def test_a_dataset_that_does_not_exist_is_a_wrong_name(tmp_path, dataset, words):
    """Exit code 2, in seconds."""
    running = command("--dataset", dataset, "--output", str(tmp_path / "r.jsonl"), stderr=subprocess.PIPE, cwd=tmp_path)
    started = time.monotonic()
    _, said = running.communicate(timeout=120)
    assert (running.returncode, words in said, time.monotonic() - started < 30) == (2, True, True), said


def test_a_file_is_a_dataset_too(tmp_path):
    """`FILE.py:FACTORY`, with a class that spawned workers must find; `--apply` prints the call alone."""
    (tmp_path / "own.py").write_text(
        "class Own:\n    def __len__(self): return 64\n    def __getitem__(self, index): return float(index)\n"
    )
    arguments = ("--dataset", "own.py:Own", "--budget", "10", "--set", "num_workers=0", "--apply")
    running = command(*arguments, "--output", str(tmp_path / "r.jsonl"), stdout=subprocess.PIPE, cwd=tmp_path)
    text, _ = running.communicate(timeout=120)
    assert (running.returncode, text) == (0, "DataLoader(\n    dataset,\n    batch_size=32,\n)\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "words"), [("SlowBuild", "constructing the dataset takes 30"), ("SlowSamples", "a sample takes 1.0")]
)
def test_a_slow_dataset_is_not_hung(tmp_path, dataset, words):
    """A constructor of 30 s and samples of 1 s: the budget that a search needs, and not an accusation."""
    running = command(
        "--dataset", f"loading_faults:{dataset}", "--output", str(tmp_path / "r.jsonl"), stdout=subprocess.PIPE
    )
    text, _ = running.communicate(timeout=240)
    text = " ".join(text.split())
    assert (running.returncode, words in text, "use --budget" in text, "hang" in text) == (1, True, True, False), text


def test_the_call_to_paste_has_the_parts_of_the_dataset_by_name():
    """It runs once these names exist."""
    text = paste(Measured("any", vars(Settings(num_workers=2, generator=3))), ["collate_fn"])
    names = {"DataLoader": lambda dataset, **named: named, "dataset": 0, "collate_fn": 1, "torch": torch}
    found = eval(text, names)
    assert (found["num_workers"], found["collate_fn"], found["generator"].initial_seed()) == (2, 1, 3)


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
    return Summary("any", found, (), (), (), Inspection(Outcome()), 0.05, 10.0, 1.0, False)


def test_the_record_of_a_summary_has_the_documented_names():
    """Programs read them: the answer's rows are lines like those before it, and JSON holds all of it."""
    record = summary(answer.choose([row(1, 100, key="k", budget=2.0)], 0.05)).record()
    assert list(record) == [
        *("key", "kind", "dataset", "sentence", "best", "provisional", "tied", "smallest", "reordered", "repeated"),
        *("pareto", "refused", "tried", "lines", "arguments", "others", "facts", "call"),
        *("findings", "cost", "stall_bound"),
        *("budget", "seconds", "needed", "stopped", "interrupted"),
    ]
    assert (record["best"]["key"], record["best"]["budget"], record["best"]["epoch_rate"]) == ("k", 2.0, 100)
    assert json.loads(json.dumps(record))["best"]["scenario"]["num_workers"] == 1
