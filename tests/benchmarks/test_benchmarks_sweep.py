"""The sweep: it measures exactly the rows of its grid, loses nothing when interrupted, and prints a summary."""

import gzip
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from lossimpl import LOSSES
from lossimpl.spec import TORCH_COMPILED
from reports.record.rows import LOADING, Row
from reports.sweep import command, machine, questions, summary, warm, watch
from reports.sweep.store import Store

ROOT = Path(__file__).parents[2]


def row(loss="mse_loss", implementation="torch", shape="32x10", seconds=1.0, **fields):
    asked = Row(questions.benchmark_of(loss), (implementation, shape, "float32", "cpu", "step"))
    numbers = {"samples": [seconds] * 7, "share": 0.5, "traffic": 1000, "status": "ok", "reason": ""}
    return asked.record | numbers | {"started_at": "2026-01-01T00:00:01+00:00"} | fields


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "machine", "0123abcd" * 5, "shared-py3.11-torch2.13.0")


def write(store, *rows):
    store.rows_path.parent.mkdir(parents=True, exist_ok=True)
    with store.rows_path.open("a") as file:
        file.writelines(json.dumps(each) + "\n" for each in rows)


def test_hard_cases_are_kept_compressed(store, monkeypatch):
    """The output of `lossimpl check` is compressed, also after Ctrl-C; a second run replaces it."""
    path = store.conformance_path
    path.parent.mkdir(parents=True)

    def check(arguments, **options):
        Path(arguments[arguments.index("--json") + 1]).write_text("one line\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", check)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            command.check(path, full=True)
        assert [one.name for one in path.parent.iterdir()] == [f"{path.name}.gz"]
    assert gzip.decompress(next(path.parent.iterdir()).read_bytes()) == b"one line\n"


def test_hard_cases_run_on_every_device_of_the_machine(store, monkeypatch):
    """`lossimpl check` itself reads the options that the sweep gives it."""
    from lossimpl.commands import check

    asked, jobs = [], []
    monkeypatch.setattr(command, "devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(subprocess, "run", lambda given, **options: asked.append(given[given.index("check") :]))
    command.check(store.conformance_path, full=False)
    monkeypatch.setattr(check, "_run", lambda todo, json: jobs.extend(todo) or [])
    monkeypatch.setattr(check, "_audit", lambda todo: None)
    app = typer.Typer()
    app.command()(check.check)
    CliRunner().invoke(app, asked[0][1:])
    assert {(job.device, job.dtype) for job in jobs} == {("cpu", "float32"), ("cuda", "float32")}


def test_without_asv_the_sweep_ends_in_one_line():
    """A GPU machine may have torch and none of our requirements."""
    code = "import sys; sys.modules['asv'] = None; from reports.__main__ import main; main(['sweep'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert re.fullmatch(r"reports sweep: asv\S* is not installed for .*", done.stderr.strip())


@pytest.mark.parametrize("grid", questions.GRIDS)
def test_asv_would_run_exactly_the_selected_rows(grid):
    """asv.benchmarks.Benchmarks searches `name(param, param)` with each pattern."""
    wanted = questions.select(LOSSES, ["cpu"], grid)
    patterns = [re.compile(pattern) for pattern in questions.patterns(wanted)]
    everything = itertools.chain.from_iterable(map(questions.grid, [*map(questions.benchmark_of, LOSSES), LOADING]))
    found = [row for row in everything if any(pattern.search(str(row)) for pattern in patterns)]
    assert set(found) == set(wanted)
    assert max(map(len, (pattern.pattern for pattern in patterns))) < 100_000  # the kernel's limit is 128 KiB


def test_a_quick_sweep_covers_every_loss_and_implementation():
    """Each is selected at least once on the CPU, except the one that only the table needs; never for another device."""
    quick = questions.select(LOSSES, ["cpu"], "quick")
    selected = {(q.stem, q.params[0]) for q in quick}
    known = {(loss, name) for loss, one in LOSSES.items() for name in one.implementations}
    assert known - selected == {(loss, TORCH_COMPILED) for loss in LOSSES}
    assert not any("cuda" in q.params for q in quick)
    assert len(quick) < 200


def test_the_table_of_cuda_has_every_other_package():
    """Each implementation that another package registers is selected on CUDA, under the name that it registers."""
    packages = {(loss, name) for loss, one in LOSSES.items() for name in one.implementations}
    packages -= {(loss, name) for loss, name in packages if name in (*questions.EAGER, *questions.TABLE)}
    table = questions.select(LOSSES, ["cpu", "cuda"], "table")
    assert ("triplet_margin_loss", "pytorch-metric-learning") in packages
    assert packages <= {(q.stem, q.implementation) for q in table if q.device == "cuda"}
    assert not packages & {(q.stem, q.implementation) for q in table if q.device == "cpu"}


def test_only_cuda_has_graphs():
    """The table has them at sizes where the host's time matters, for native and for every alternative."""
    rows = {grid: questions.select(LOSSES, ["cpu", "cuda"], grid) for grid in questions.GRIDS}
    assert not any({"graph", "cpu"} <= set(q.params) for selected in rows.values() for q in selected)
    graphs = {q.params[:2] for q in rows["table"] if q.params[-1] == "graph" and q.stem == "cross_entropy"}
    assert graphs == set(itertools.product(["native", "torch", "compiled", "liger", "quack"], ["32x10", "256x1000"]))


def test_only_compiled_code_is_made_before_measuring():
    """A graph per compiled row, one build per loss for its kernels; the work is divided by loss."""
    quick = questions.select(LOSSES, ["cpu"], "quick")
    wanted = [q for q in quick if warm.compiles(q)]
    assert {q.params[0] for q in wanted} == {"compiled", "native"}
    assert len([q for q in wanted if q.params[0] == "native"]) == len(LOSSES)
    first, second = warm.shares(wanted, 2)
    assert sorted(first + second) == sorted(wanted)
    assert not {q.stem for q in first} & {q.stem for q in second}


def test_a_machine_is_named_by_what_it_is():
    """Lower case, digits and hyphens, with the number of cores; never the host name."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-\d+c(-[a-z0-9-]+)?", machine.name())
    assert os.uname().nodename.lower() not in machine.name()


def test_an_interrupted_sweep_keeps_its_start(store):
    """The marker holds the time of the first start until the sweep is finished; the next sweep starts again."""
    since = store.begin()
    time.sleep(1.1)
    assert store.begin() == since
    write(store, row())
    store.finish()
    assert store.begin() > since


def test_a_finished_sweep_keeps_the_last_record_of_each_row(store):
    """Older records of this commit whose rows were not measured again stay."""
    write(store, row(seconds=1.0), row("l1_loss"), row(seconds=2.0))
    store.finish()
    assert [(r["loss"], r["samples"][0]) for r in store.rows()] == [("mse_loss", 2.0), ("l1_loss", 1.0)]


def test_rows_of_an_earlier_sweep_do_not_count_as_done(store):
    """Only records since the start are counted."""
    write(store, row(started_at="2026-01-01T00:00:00+00:00"), row("l1_loss", started_at="2026-01-02T00:00:00+00:00"))
    assert [r["loss"] for r in store.rows("2026-01-01T12:00:00+00:00")] == ["l1_loss"]


def test_a_process_that_died_has_a_record(store):
    """After a crash or a timeout the sweep writes one."""
    rows = [Row(questions.benchmark_of(loss), ("torch", "32x10", "float32", "cpu", "step")) for loss in LOSSES]
    write(store, row("mse_loss"))
    store.add_missing(rows, "")
    statuses = {r["loss"]: r["status"] for r in store.rows()}
    assert statuses == {loss: "ok" if loss == "mse_loss" else "error" for loss in LOSSES}


FAKE_ASV = """
import json, os, sys, time
for line in sys.argv[1:]:
    with open(os.environ["LOSSIMPL_ROWS"], "a") as file:
        file.write(line + chr(10))
    time.sleep(0.3)
sys.exit(int(os.environ.get("FAKE_EXIT", "0")))
"""


def rows_and_command(*losses):
    records = [row(loss, started_at="2999-01-01T00:00:00+00:00") for loss in losses]
    rows = [Row(questions.benchmark_of(loss), ("torch", "32x10", "float32", "cpu", "step")) for loss in losses]
    return rows, [sys.executable, "-c", FAKE_ASV, *map(json.dumps, records)]


def test_rows_are_kept_if_others_fail(store, monkeypatch):
    """asv exits with 2 if some rows failed, and with another code if nothing was measured."""
    (store.root / ".asv").mkdir()
    store.rows_path.parent.mkdir(parents=True)
    rows, command = rows_and_command("mse_loss", "l1_loss")
    monkeypatch.setenv("FAKE_EXIT", "2")
    watch.run(command, rows, store, "", 0.1)
    assert len(store.rows()) == 2
    monkeypatch.setenv("FAKE_EXIT", "1")
    with pytest.raises(watch.AsvFailed):
        watch.run(command, rows, store, "", 0.1)


def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(store, tmp_path):
    """A sweep in its own process is interrupted after its first row: its row is kept, and nothing continues."""
    (store.root / ".asv").mkdir()
    store.rows_path.parent.mkdir(parents=True)
    rows, command = rows_and_command(*["mse_loss", "l1_loss"] * 50)
    code = f"""
import pathlib
from reports.sweep import watch
from reports.record.rows import Row
from reports.sweep.store import Store
store = Store(pathlib.Path({str(store.root)!r}), "machine", {store.commit!r}, {store.environment!r})
watch.run({command!r}, {rows!r}, store, "", 0.1)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not (store.rows_path.exists() and store.rows()):
        time.sleep(0.05)
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    process.wait(15)
    kept = len(store.rows())
    time.sleep(0.8)
    assert 1 <= len(store.rows()) == kept < 100


def test_the_summary_names_the_fastest_loader_and_what_was_not_ranked():
    """The median of 100, 110 and 120 samples/s is 110; a wrong row is listed."""
    rows = [
        row(shape="16384x1024", traffic=10**9, seconds=0.2),
        row(shape="16384x1024", traffic=10**9, seconds=0.01, implementation="planted", status="wrong", reason="off"),
        {"benchmark": LOADING, "params": ["'digits'"], "dataset": "digits", "status": "ok", "reason": "",
         "samples_per_second": [100.0, 120.0, 110.0],
         "scenario": {"num_workers": 2, "pin_memory": False, "batch_size": 64}},
    ]  # fmt: skip
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary.loaders(rows))
    shown = console.export_text()
    assert re.search(r"digits +num_workers=2, pin_memory=False, batch_size=64 +110", shown)
    assert [line.split(":")[0] for line in summary.not_ranked(rows)] == ["wrong"]


def test_a_busy_machine_is_reported():
    """The records have the warning; the summary counts them."""
    assert summary.disturbed([row(busy=""), row()]) == ""
    words = "other processes took 53% of the processor time"
    assert summary.disturbed([row(busy=words), row(busy="")]).startswith(
        f"busy: 1 of 2 rows were disturbed (first: {words}"
    )


def test_no_process_is_started_without_work():
    """Sixty cores and two losses: two processes."""
    quick = [q for q in questions.select(["l1_loss", "mse_loss"], ["cpu"], "quick") if warm.compiles(q)]
    assert len(warm.shares(quick, 60)) == 2
