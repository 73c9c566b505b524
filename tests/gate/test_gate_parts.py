"""The gate's small parts: what a diff affects, what counts as worse, explanations, reports, exit codes, plants."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import typer

from lossimpl.building import Unmeasurable, clean_environment
from reports.gate import bench, command, explain, instructions, plants, quality, reasons, render
from reports.gate.design import Design
from reports.gate.diff import Changed
from reports.gate.outcome import Change, Covered, Fault, Outcome, RowOutcome
from reports.gate.processes import WORKER, Patience, Worker
from reports.gate.representatives import grouped
from reports.gate.touched import executes, touched
from reports.record.rows import Row

SOURCE = {
    "lossimpl/__init__.py": "",
    "lossimpl/registry.py": "from lossimpl.losses import mse_loss, l1_loss\nfrom lossimpl.compiled import compiled\n",
    "lossimpl/compiled.py": "",
    "lossimpl/unrelated.py": "",
    "lossimpl/losses/__init__.py": "",
    "lossimpl/losses/_common.py": "from lossimpl.numbers import tiny\n",
    "lossimpl/numbers.py": "tiny = 1\n",
    "lossimpl/losses/mse_loss.py": "def f():\n    from ._common import reduce\n",
    "lossimpl/losses/l1_loss.py": "",
    "lossimpl/kernels/__init__.py": "",
    "lossimpl/kernels/cpp/__init__.py": "",
    "benchmarks/__init__.py": "",
    "benchmarks/calls.py": "from lossimpl import registry\n",
    "benchmarks/mse_loss.py": "from .calls import ready\n",
    "benchmarks/l1_loss.py": "from .calls import ready\n",
    "lossimpl/loading/__init__.py": "",
    "lossimpl/loading/row.py": "",
    "lossimpl/loading/datasets/__init__.py": "",
    "lossimpl/loading/datasets/digits.py": "",
    "benchmarks/loading.py": "def measure():\n    from lossimpl.loading.row import measure\n",
}
LOADER = Row("loading.Loading.track_seconds_per_sample", ("digits", 2, False))
ROWS = [
    Row(f"{loss}.{name}.track_seconds", (implementation, "8x8", "cpu"))
    for loss, name in (("mse_loss", "MseLoss"), ("l1_loss", "L1Loss"))
    for implementation in ("native", "compiled", "torch")
] + [LOADER]


@pytest.fixture
def source(tmp_path):
    for name, text in SOURCE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "affected"),
    [
        ("lossimpl/losses/mse_loss.py", {"mse_loss native", "mse_loss compiled", "mse_loss torch"}),
        ("lossimpl/losses/_common.py", {"mse_loss native", "mse_loss compiled", "mse_loss torch"}),
        ("lossimpl/numbers.py", {"mse_loss native", "mse_loss compiled", "mse_loss torch"}),
        ("lossimpl/compiled.py", {"mse_loss compiled", "l1_loss compiled"}),
        ("lossimpl/kernels/cpp/csrc/reduce.h", {"mse_loss native", "l1_loss native"}),
        ("lossimpl/kernels/cpp/csrc/mse_loss.cpp", {"mse_loss native"}),
        ("lossimpl/kernels/triton/elementwise.py", set()),
        ("lossimpl/unrelated.py", set()),
        ("lossimpl/loading/row.py", {"loading digits"}),
        ("lossimpl/loading/datasets/digits.py", {"loading digits"}),
        ("benchmarks/l1_loss.py", {"l1_loss native", "l1_loss compiled", "l1_loss torch"}),
        ("README.md", set()),
        ("tests/test_anything.py", set()),
    ],
)
def test_a_change_affects_the_rows_that_run_it(source, changed, affected):
    """Modules of losses, what they import (inside functions too), kernels by implementation and device."""
    assert {
        f"{row.stem} {row.implementation}" for row in touched(ROWS, [Changed(changed)], source, "lossimpl")
    } == affected


@pytest.mark.parametrize("changed", ["lossimpl/registry.py", "benchmarks/calls.py", "pyproject.toml"])
def test_what_every_row_runs_affects_every_row(source, changed):
    """What makes the call, and the build."""
    assert list(touched(ROWS, [Changed(changed)], source, "lossimpl")) == ROWS


def test_a_revision_whose_imports_cannot_be_read_is_named(source):
    """A syntax error in the package: the error says so, instead of a traceback."""
    (source / "lossimpl" / "numbers.py").write_text("tiny = = 1\n")
    with pytest.raises(Unmeasurable, match="imports of lossimpl could not be read"):
        touched(ROWS, [Changed("lossimpl/numbers.py")], source, "lossimpl")


def record(error=1e-6, peak=1_000_000, verdict="ok", dtype="float32"):
    return {
        "dtype": dtype,
        "peak_bytes": peak,
        "agreement": {"value_max_rel": error, "verdict": verdict, "reason": "r"},
    }


@pytest.mark.parametrize(
    ("base", "head", "worse", "better"),
    [
        (record(), record(), [], []),
        (record(1e-6), record(3e-6), ["value_max_rel"], []),
        (record(3e-6), record(1e-6), [], ["value_max_rel"]),
        (record(1e-7), record(3e-7), [], []),  # below four roundings of float32, 4.8e-7
        (record(1e-6), record(1.9e-6), [], []),
        (record(), record(verdict="wrong"), ["agreement"], []),
        (record(peak=1_000_000), record(peak=1_050_000), ["peak_bytes"], []),
        (record(peak=1_000_000), record(peak=1_003_000), [], []),  # less than a page
        (record(peak=None), record(peak=10**9), [], []),
        ({}, record(), [], []),
    ],
)
def test_quality_changes(base, head, worse, better):
    """Errors count if they double beyond a few roundings, bytes if they grow by 1 % and a page."""
    found = quality.changes(base, head)
    assert [one.what for one in found if one.worse] == worse
    assert [one.what for one in found if not one.worse] == better


def test_incomplete_side_car_lines_are_skipped(tmp_path):
    """A crash in the middle of a line loses only that line; the last line of a row counts."""
    path = tmp_path / "x.rows.jsonl"
    line = {"benchmark": "a.A.track_seconds", "params": ["'native'", "'8'"], "peak_bytes": 1}
    path.write_text(json.dumps(line) + "\n" + json.dumps({**line, "peak_bytes": 2}) + "\n" + '{"benchmark": "a')
    assert quality.records(path) == {Row("a.A.track_seconds", ("native", "8")): {**line, "peak_bytes": 2}}


def test_side_car_lines_belong_to_the_rows_that_asv_names(tmp_path):
    """A loader's parameters include numbers and booleans; asv writes them as Python does, and they are read back."""
    path = tmp_path / "x.rows.jsonl"
    line = {"benchmark": LOADER.benchmark, "params": [repr(one) for one in LOADER.params]}
    path.write_text(json.dumps(line) + "\n")
    assert quality.records(path) == {LOADER: line}


def test_loaders_are_not_counted():
    """A loader waits for processes of its own, whose instructions are not counted."""
    assert LOADER not in instructions.countable(ROWS)
    assert len(instructions.countable(ROWS)) == 4  # native and torch; generated code is not counted


def test_a_row_is_in_reach_only_if_it_executes_what_changed():
    """A changed function that the call does not execute is out of reach; a changed constant is not."""
    changed = Changed("lossimpl/losses/mse_loss.py", frozenset({"naive"}), more=False)
    assert executes([changed], {("lossimpl/losses/mse_loss.py", "naive")})
    assert not executes([changed], {("lossimpl/losses/mse_loss.py", "vectorized")})
    assert executes([replace(changed, more=True)], {("lossimpl/losses/mse_loss.py", "vectorized")})


def test_every_row_of_a_loss_is_in_one_group_and_each_regime_has_a_representative():
    """Of 72 rows: overhead, and cache and memory by type class, each for step (with reuse) and forward."""
    rows = [
        Row("a.A.track_seconds", ("native", shape, dtype, "cpu", mode))
        for shape in ("32x10", "128x1000", "256x1000", "16384x1024", "131072x1024", "512x10")
        for dtype in ("float64", "float32", "bfloat16", "float16")
        for mode in ("reuse", "step", "forward")
    ]
    groups = grouped(rows)
    assert sorted(row for group in groups for row in group.rows) == sorted(rows)
    assert {group.name: group.representative.params[1:] for group in groups if "step" in group.name} == {
        "a native cpu, overhead, step": ("32x10", "float32", "cpu", "step"),
        "a native cpu, cache, float, step": ("128x1000", "float32", "cpu", "step"),
        "a native cpu, cache, half, step": ("128x1000", "bfloat16", "cpu", "step"),
        "a native cpu, memory, float, step": ("16384x1024", "float32", "cpu", "step"),
        "a native cpu, memory, half, step": ("16384x1024", "bfloat16", "cpu", "step"),
    }
    assert len(groups) == 10


def answer(**operators):
    return {"seconds": 1e-3, "operators": {name: [seconds, 0.0, 1.0, 0.0] for name, seconds in operators.items()}}


def test_an_explanation_names_the_part_and_the_operator():
    """With an added copy of 0.3 ms, the part of the kernels grows by it, and aten::clone is first."""
    base = answer(**{"aten::mse_loss": 4e-4, "aten::empty": 1e-4})
    head = {**answer(**{"aten::mse_loss": 4e-4, "aten::empty": 1e-4, "aten::clone": 3e-4}), "seconds": 1.3e-3}
    why = explain.why(base, head)
    kernel = next(part for part in why["parts"] if part["part"] == "kernel")
    assert kernel["head"] - kernel["base"] == pytest.approx(3e-4)
    assert why["operators"][0]["operator"] == "aten::clone"
    assert sum(part["head"] for part in why["parts"]) == pytest.approx(1.3e-3)


ROW = RowOutcome("a.A.track_seconds", ("native", "8|8"), "same", 1.0, 0.99, 1.01, 0.9, 12, 1.04, 10, "time")
GROUP = Covered("a native", ROW.name, 3, "time")
OUTCOME = Outcome("b" * 40, "h" * 40, 0.05, 0.01, 900.0, 60.0)
FAULT = Fault("a.A.track_seconds('x')", "head", "crashed: killed by SIGSEGV")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"rows": (ROW,), "groups": (GROUP,)}, 0),
        ({"rows": (replace(ROW, verdict="faster"),), "groups": (GROUP,)}, 0),
        ({"rows": (replace(ROW, changes=(Change("peak_bytes", 2, 1, False, "less"),)),)}, 0),
        ({"rows": (replace(ROW, verdict="slower"),), "faults": (FAULT,)}, 1),
        ({"rows": (replace(ROW, changes=(Change("peak_bytes", 1, 2, True, "more"),)),)}, 1),
        ({"rows": (ROW,), "faults": (FAULT,)}, 2),
        ({"removed": ("a.A native",)}, 2),
        ({"groups": (GROUP, replace(GROUP, decided="", missing="not reached"))}, 2),
        ({"groups": (GROUP, replace(GROUP, decided=""))}, 3),
    ],
)
def test_exit_codes(changes, code):
    """0 only if every group in reach is decided; a regression precedes what was not measured, that the undecided."""
    assert replace(OUTCOME, **changes).exit_code == code


def test_the_gravest_regression_comes_first():
    """A wrong result before more bytes, more bytes before more instructions, these before time."""
    slower = replace(ROW, verdict="slower", ratio=3.0)
    worse = [replace(ROW, changes=(Change(what, 1, 2, True, what),)) for what in ("instructions", "agreement")]
    saved = replace(ROW, changes=(Change("saved_bytes", 1, 2, True, "saved_bytes"),))
    ordered = render.ordered(replace(OUTCOME, rows=(slower, *worse, saved)))
    assert ordered == [worse[1], saved, worse[0], slower]


def test_reports_survive_hostile_names_and_missing_numbers():
    """Markup in a row's name is escaped on the page, pipes in the table; a missing number is `unknown`."""
    hostile = replace(ROW, params=("<script>", "a|b"), verdict="inconclusive", ratio=math.nan, low=0.0, high=math.inf)
    outcome = replace(OUTCOME, rows=(hostile,), faults=(replace(FAULT, text="line one\nline two"),))
    html, comment = render.page(outcome), render.markdown(outcome)
    assert "<script>" not in html
    table = [line for line in comment.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {8}
    assert "unknown" in comment
    assert json.loads(json.dumps(outcome.as_json()))["rows"][0]["ratio"] is None


def test_reason_codes_of_a_row():
    """Two groups of times are bimodal, an increase by 30 % is a drift, an undecided row has too few pairs."""
    verdict = Design(["row"]).verdict("row")
    two = [1.0, 1.5, 1.01, 1.51, 0.99, 1.49, 1.0, 1.5, 1.02, 1.52]
    assert reasons.of_row(verdict, two, [1.0] * 10, 0.05) == ["too-few-pairs", "bimodal"]
    climb = [1 + 0.01 * step for step in range(30)]
    assert "drift" in reasons.of_row(verdict, climb, climb, 0.05)


def test_reason_codes_of_the_machine():
    """Workers beside busy processes, under a hypervisor that takes time, or at a lower clock."""
    calm = {"others": 0.02, "steal": 0.0, "loop": 1e-3}
    assert reasons.of_machine([calm] * 10) == []
    assert reasons.of_machine([{**calm, "others": 0.4}] * 10) == ["machine-busy"]
    assert reasons.of_machine([{**calm, "steal": 0.1}] * 10) == ["machine-busy"]
    assert reasons.of_machine([calm] * 6 + [{**calm, "loop": 1.4e-3}] * 4) == ["clock-throttled"]


@pytest.mark.parametrize("text", ["15", "m", "0s", "-1m", "15 m", ""])
def test_a_budget_that_is_not_a_duration_is_refused(text):
    """The error shows the value and what is expected."""
    with pytest.raises(typer.BadParameter, match="expected a duration such as 90s, 15m or 1h"):
        command.seconds_of(text)


def test_a_busy_plant_takes_its_share_longer(monkeypatch):
    """A call of 10 ms with a plant of 20 % takes 12 ms on a clock that only the call and the spinning advance."""
    now = [0.0]

    def tick():
        now[0] += 1e-5
        return now[0]

    def call():
        now[0] += 0.01

    monkeypatch.setattr(plants.time, "perf_counter", tick)
    plants.busy(call, 0.2)()
    assert now[0] == pytest.approx(0.012, rel=0.02)


def test_a_planted_suite_still_imports_and_slows_its_row(tmp_path):
    """In the benchmarks with plants, only the planted row runs a longer loop."""
    suite = tmp_path / "suite" / "benchmarks"
    suite.mkdir(parents=True)
    (suite / "__init__.py").write_text("")
    (suite / "calls.py").write_text(
        "turns = []\n\n\ndef ready(stem, *params):\n    return lambda: turns.append(params)\n"
    )
    bench.plant(suite, {Row("a.A.track_seconds", ("native", "8")): ("instructions", 1000.0)})
    worker = Worker([sys.executable], clean_environment({}))
    row = ["a.A.track_seconds", ["native", "8"]]
    for message in ({"task": "pairs", "suite": str(suite.parent), "rows": [row]}, {"row": row}, {"number": 0}):
        worker.send(message)
    answers = [worker.receive(Patience(30)) for _ in range(4)]
    worker.end()
    assert [next(iter(answer)) for answer in answers] == ["ready", "start", "seconds", "ended"]
    assert answers[2]["seconds"] > 1000 * 1e-9


def test_the_worker_needs_nothing_but_the_standard_library(tmp_path):
    """It runs alone from any folder, so that both sides are measured by the same code."""
    copy = shutil.copytree(WORKER, tmp_path / "worker")
    done = subprocess.run(
        [sys.executable, "-I", "-S", copy],
        input=json.dumps({"task": "names", "suite": str(tmp_path)}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'benchmarks'"
