"""The sweep: rounds spread over the session, nothing lost when it is interrupted, and a summary that ranks fairly."""

import gzip
import io
import itertools
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

from lossimpl import LOSSES, identity
from lossimpl.row import from_record
from lossimpl.spec import TORCH_COMPILED
from reports.record.lines import objects
from reports.record.rows import LOADING, Row
from reports.sweep import command, questions, selftest, store, summary, warm
from reports.sweep.session import Effort, Session
from reports.sweep.store import Store

ROOT = Path(__file__).parents[2]
QUIET, BUSY = "", "other processes took 53% of the processor time"


def row_of(loss="mse_loss", implementation="torch", shape="32x10", mode="step"):
    """The row of a loss in float32 on the CPU."""
    return Row(questions.benchmark_of(loss), (implementation, shape, "float32", "cpu", mode))


def one_round(row, number, seconds=1.0, busy=QUIET, **fields):
    """The record of one round of a row, as benchmarks/ write it."""
    taken = {
        **{
            "number": number,
            "position": 1,
            "seconds": seconds,
            "samples": [seconds] * 3,
            "calls": 1,
            "stop": "time-cap",
        },
        **{"precision": 0.0, "warmup_seconds": 0.1, "first_call_seconds": 0.2, "busy": busy, "ceiling": 1e9},
        **{"started_at": "2026-01-01T00:00:01.000+00:00", "beside": {}},
    }
    facts = {"options": {}, "maker": "normal", "seed": 0, "traffic": 10**8, "ceiling_name": "copy", "level": "memory"}
    agreement = {"verdict": "ok", "reason": ""} if number == 1 else None
    known = {"status": "ok", "reason": "", "rounds": [taken], "agreement": agreement, "format": 2, "manifest": "m"}
    return row.record | facts | known | {"started_at": "2026-01-01T00:00:01+00:00"} | fields


@pytest.fixture
def kept(tmp_path):
    """A store of one commit in an empty folder."""
    found = Store(tmp_path, "machine", "0123abcd" * 5, "shared-py3.11-torch2.13.0")
    found.side_car("rows").parent.mkdir(parents=True)
    return found


class Machine:
    """Stands for asv's fork server: measures the planned round as `answer(row, number)` says, and keeps a log."""

    def __init__(self, kept, plan, answer=one_round):
        self.kept, self.plan, self.answer, self.log = kept, plan, answer, []

    def run(self, row, seconds):
        records = []
        for case in json.loads(self.plan.read_text())["cases"]:
            self.log.append((str(Row(row.benchmark, (*row.params[:-1], case["mode"]))), case["number"]))
            for implementation in case["implementations"]:
                asked = Row(row.benchmark, (implementation, *row.params[1:-1], case["mode"]))
                records.append(self.answer(asked, case["number"]))
            if not all(records):
                break
        with self.kept.side_car("rounds").open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records if record)
        return "" if all(records) else "the process was killed"


def session_of(kept, rows, **effort):
    """A session of some rows, and its plan file."""
    plan = kept.root / "round.json"
    wanted = Effort(**{"rounds": 5, "most": 8, "call_seconds": 0.1, "seconds": 60.0} | effort)
    return Session(rows, kept, wanted, plan, "s1"), plan


def test_rounds_are_spread_over_the_session(kept):
    """Every case has its k-th round before any has its k + 1st, and the order differs between rounds."""
    session, plan = session_of(kept, [row_of(loss) for loss in LOSSES])
    machine = Machine(kept, plan)
    session.run(machine, lambda case: None)
    numbers = [number for _, number in machine.log]
    assert numbers == sorted(numbers)
    assert max(numbers) == 5
    orders = {tuple(name for name, number in machine.log if number == one) for one in range(1, 6)}
    assert {frozenset(order) for order in orders} == {frozenset(str(row_of(loss)) for loss in LOSSES)}
    assert len(orders) > 1


def test_what_needs_no_compiler_is_measured_first(kept):
    """`begin` measures round 1 of the other cases only, and `run` does not repeat it."""
    session, plan = session_of(kept, [row_of("mse_loss"), row_of("l1_loss"), row_of("l1_loss", "compiled")])
    machine = Machine(kept, plan)
    session.begin(machine, lambda case: None)
    assert [number for _, number in machine.log] == [1]
    assert "mse_loss" in machine.log[0][0]
    session.run(machine, lambda case: None)
    assert sorted(number for _, number in machine.log) == [number for number in range(1, 6) for _ in range(2)]


def test_a_disturbed_round_is_repeated_a_bounded_number_of_times(kept):
    """Rounds 1 to 3 of one case are disturbed, so it gets rounds until four are quiet; a busy one gets `most`."""

    def answer(row, number):
        busy = row.params[0] == "torch" and ("l1" in row.benchmark or number <= 3)
        return one_round(row, number, busy=BUSY if busy else QUIET)

    session, plan = session_of(kept, [row_of("mse_loss"), row_of("l1_loss"), row_of("mse_loss", "native")])
    session.run(Machine(kept, plan, answer), lambda case: None)
    (mse,), (l1,) = (
        [one for case in session.cases for one in case.results() if (one.loss, one.implementation) == (loss, "torch")]
        for loss in ("mse_loss", "l1_loss")
    )
    assert (mse.status, len(mse.rounds), len(mse.quiet)) == ("ok", 7, 4)
    assert (l1.status, len(l1.rounds)) == ("disturbed", 8)
    assert l1.reason == f"8 of 8 rounds were disturbed, the first because {BUSY}"


def test_wide_intervals_get_the_rounds_that_are_left(kept):
    """Of two cases, one scatters by 20 % and the other not at all: only the first has more rounds than asked for."""
    scatter = itertools.cycle([1.0, 1.2])
    session, plan = session_of(kept, [row_of("mse_loss"), row_of("l1_loss")])

    def answer(row, number):
        return one_round(row, number, seconds=next(scatter) if "mse" in row.benchmark else 1.0)

    session.run(Machine(kept, plan, answer), lambda case: None)
    assert [(case.rows["torch"].stem, case.number) for case in session.cases] == [("mse_loss", 8), ("l1_loss", 5)]


def test_no_round_begins_after_the_time_is_up(kept):
    """The rounds that the grid asks for are measured whatever they take; further ones are not."""
    session, plan = session_of(kept, [row_of()], seconds=0.0)
    session.run(Machine(kept, plan, lambda row, number: one_round(row, number, busy=BUSY)), lambda case: None)
    assert session.cases[0].number == 5


def test_a_process_that_died_is_an_error_and_is_tried_twice(kept):
    """Without a record, the problem that the runner reports is the reason."""
    session, plan = session_of(kept, [row_of()])
    machine = Machine(kept, plan, lambda row, number: None)
    session.run(machine, lambda case: None)
    (result,) = session.cases[0].results()
    assert (result.status, result.reason, len(machine.log)) == ("error", "the process was killed", 2)


def test_modes_share_a_process_and_one_that_dies_costs_one_case(kept):
    """Forward, step and kept memory in this order; the step kills its process, and another measures what follows."""
    session, plan = session_of(kept, [row_of(mode=mode) for mode in ("reuse", "step", "forward")], rounds=1, most=1)
    machine = Machine(kept, plan, lambda row, number: None if "step" in row.params else one_round(row, number))
    session.run(machine, lambda case: None)
    assert [name.split(", ")[-1] for name, _ in machine.log] == ["'forward')", "'step')", "'reuse')"]
    assert {case.mode: case.results()[0].status for case in session.cases} == {
        "reuse": "ok",
        "step": "error",
        "forward": "ok",
    }


def test_what_is_unavailable_is_asked_once(kept):
    """One round decides, and the others go on without it."""

    def answer(row, number):
        gone = {"status": "unavailable", "reason": "no such thing", "rounds": []} if row.params[0] == "native" else {}
        return one_round(row, number) | gone

    session, plan = session_of(kept, [row_of(), row_of(implementation="native")])
    session.run(Machine(kept, plan, answer), lambda case: None)
    assert {one.implementation: (one.status, len(one.rounds)) for one in session.cases[0].results()} == {
        "torch": ("ok", 5),
        "native": ("unavailable", 0),
    }


def test_agreement_is_checked_in_the_first_round_only(kept):
    """Later rounds name the implementations that agreed; the row of the session keeps the agreement."""
    plans = []
    session, plan = session_of(kept, [row_of()])

    def answer(row, number):
        plans.append(json.loads(plan.read_text())["cases"][0]["checked"])
        return one_round(row, number)

    session.run(Machine(kept, plan, answer), lambda case: None)
    assert plans == [[], *[["torch"]] * 4]
    assert session.cases[0].results()[0].agreement == {"verdict": "ok", "reason": ""}


class Interrupted(Machine):
    """Is interrupted before the fourth round of a process."""

    def run(self, row, seconds):
        if len(self.log) == 3:
            raise KeyboardInterrupt
        return super().run(row, seconds)


def test_an_interrupted_session_keeps_its_rounds_and_is_continued(kept):
    """Three rounds are kept, as rows without an interval; the next session of the grid continues with the fourth.

    It began when its first part did, before all of its rounds, and its seconds are those of both parts.
    """
    first = kept.begin("quick")
    session, plan = session_of(kept, [row_of()])
    with pytest.raises(KeyboardInterrupt):
        session.run(Interrupted(kept, plan), lambda case: None)
    (record,) = kept.save([row_of()], first.session, {"grid": "quick", "seconds": 30.0})
    assert len(record["rounds"]) == 3
    assert command.interrupted([record]).count("0 of 1 rows have the 4 quiet rounds") == 1
    assert kept.begin("quick") == first._replace(seconds=30.0)
    again, plan = session_of(kept, [row_of()])
    machine = Machine(kept, plan)
    again.run(machine, lambda case: None)
    assert [number for _, number in machine.log] == [4, 5]
    (record,) = kept.save([row_of()], first.session, {"grid": "quick"})
    kept.finish()
    assert [len(one["rounds"]) for one in objects(kept.side_car("rows"))] == [5]
    assert len(record["rounds"]) == 5
    assert kept.begin("quick").session != first.session


def test_another_grid_or_an_old_session_is_not_continued(kept, monkeypatch):
    """Their rounds would not be one session's."""
    first = kept.begin("quick")
    other = kept.begin("table")
    assert other.session != first.session
    monkeypatch.setattr(store, "CONTINUED", timedelta(seconds=-1))
    assert kept.begin("table").session != other.session


def test_each_session_has_its_own_rows(kept):
    """A second session of the same commit adds rows, and replaces none of the first."""
    for session, seconds in (("s1", 1.0), ("s2", 2.0)):
        kept.append(one_round(row_of(), 1, seconds))
        kept.save([row_of()], session, {"grid": "quick"})
        kept.side_car("rounds").unlink()
    found = [(one["session"], one["rounds"][0]["seconds"]) for one in objects(kept.side_car("rows"))]
    assert found == [("s1", 1.0), ("s2", 2.0)]
    assert [one["session"] for one in objects(kept.side_car("sessions"))] == ["s1", "s2"]


def test_a_row_that_the_session_did_not_reach_has_a_record(kept):
    """Nothing is missing from a table."""
    (record,) = kept.save([row_of()], "s1", {})
    assert (record["status"], record["reason"]) == ("error", "it was not measured before the session ended")


def test_saved_rows_have_their_place_an_id_and_a_checksum(kept):
    """Those that were measured and those that were not, as they lie in the file."""
    kept.append(one_round(row_of(), 1))
    kept.save([row_of(), row_of("l1_loss")], "s1", {})
    saved = objects(kept.side_car("rows"))
    assert [(one["machine"], one["commit"]) for one in saved] == [(kept.machine, kept.commit)] * 2
    assert [identity.fault(one) for one in saved] == ["", ""]
    assert saved[0]["id"] != saved[1]["id"]


def test_asv_gets_the_seconds_of_the_quiet_rounds():
    """Four quiet rounds and one disturbed are four samples of one call each; a wrong row is a failure."""
    rounds = [one_round(row_of(), number, seconds=number, busy=BUSY * (number == 3)) for number in range(1, 6)]
    record = store.session_record(rounds, "s1")
    assert command.samples_of(record) == ([1, 2, 4, 5], 1)
    assert command.samples_of(record | {"status": "wrong"}) is None


@pytest.mark.slow
def test_a_round_goes_through_asv_and_into_its_file(tmp_path):
    """On a clone: asv builds HEAD, its fork server measures two rounds, and its file has a sample of each."""
    from reports.sweep.engine import Engine, environment_name, register

    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(tmp_path / "clone")], check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    found = Store(tmp_path / "clone", "pool", commit, environment_name())
    register("pool")
    session, plan = session_of(found, [row_of(), row_of(implementation="native")], rounds=2, most=2)
    variables = {"LOSSIMPL_ROWS": str(found.side_car("rounds")), "LOSSIMPL_ROUND": str(plan)}
    with Engine(found.root, "pool", commit, variables) as engine:
        session.run(engine, lambda case: None)
        rows = [row_of(), row_of(implementation="native")]
        records = found.save(rows, "s1", {})
        engine.save(
            {row: ([one["seconds"] for one in record["rounds"]], 1) for row, record in zip(rows, records, strict=True)}
        )
    assert [len(record["rounds"]) for record in records] == [2, 2]
    (asv,) = (found.root / "results" / "pool").glob(f"{found.stem}.json")
    cells = json.loads(asv.read_text())["results"]["mse_loss.MseLoss.track_seconds"]
    samples = [one for one in cells[12] if one] if len(cells) > 12 else [one for one in cells[11] if one]
    assert sorted(map(len, samples)) == [2, 2]


@pytest.fixture
def toy(tmp_path):
    """The root and commit of a project whose benchmarks send Ctrl-C, or raise, where the environment says so."""
    files = {
        "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n[tool.setuptools]\npy-modules = ["toy"]\n',
        "toy.py": "",
        "benchmarks/__init__.py": "",
        "benchmarks/stop.py": STOP,
        "asv.conf.json": (ROOT / "asv.conf.json").read_text().replace('"project": "lossimpl"', '"project": "toy"'),
    }
    root = tmp_path / "toy"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for line in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "toy"]):
        subprocess.run([*git, *line], cwd=root, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    return root, done.stdout.strip()


def test_ctrl_c_while_asv_builds_says_that_nothing_was_measured(kept, monkeypatch):
    """The build is interrupted before there are records: Ctrl-C is raised again, with a line."""

    class Building:
        def __init__(self, *given):
            pass

        def __enter__(self):
            raise KeyboardInterrupt

        def __exit__(self, *given):
            pass

    monkeypatch.setattr("reports.sweep.engine.Engine", Building)
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(KeyboardInterrupt):
        command.measure([row_of()], kept, "quick", console)
    assert "interrupted before a round began" in console.file.getvalue()


STOP = """
import os, signal, sys, time

if os.environ["STOP_IN"] in sys.argv:
    if os.environ["STOP_BY"] == "error":
        raise ValueError("a broken benchmark")
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(86_422)


def track_nothing():
    return 0
"""


@pytest.mark.parametrize(
    ("where", "how"), [("discover", "interrupt"), ("run_server", "interrupt"), ("discover", "error")]
)
def test_what_stops_asv_before_the_first_row_is_named_and_leaves_no_process(toy, where, how):
    """Ctrl-C while asv builds is Ctrl-C, not a commit that cannot be built; a broken benchmark is the latter."""
    from reports.sweep.engine import AsvFailed, Engine

    root, commit = toy
    before = set(psutil.Process().children(recursive=True))  # of other tests, such as the tracker of semaphores
    with (
        pytest.raises(KeyboardInterrupt if how == "interrupt" else AsvFailed),
        Engine(root, "pool", commit, {"STOP_IN": where, "STOP_BY": how}),
    ):
        pass
    left = set(psutil.Process().children(recursive=True)) - before
    assert [one.cmdline() for one in left] == []


def test_hard_cases_run_once_for_a_commit_and_an_interrupted_run_counts_for_nothing(kept, monkeypatch):
    """Interrupted, complete in float32, asked again, asked for all dtypes: the second and the fourth time they run."""
    path, runs = kept.side_car("conformance"), []
    case = {"implementation": "native", "device": "cpu", "dtype": "float32", "status": "pass"}

    def check(arguments, **options):
        dtypes = ["float32"] if "--dtype" in arguments else ["float32", "bfloat16"]
        found = [json.dumps(case | {"dtype": dtype}) + "\n" for dtype in dtypes]
        Path(arguments[arguments.index("--json") + 1]).write_text("".join(found))
        runs.append(len(found))
        if len(runs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", check)
    monkeypatch.setattr(command, "ROOT", kept.root)
    monkeypatch.setattr(command, "devices", lambda: ["cpu"])
    (kept.root / ".asv").mkdir()
    with pytest.raises(KeyboardInterrupt):
        command.check(Console(quiet=True), path, full=False)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    for full in (False, False, True, True):
        command.check(Console(quiet=True), path, full)
        assert [one.name for one in path.parent.iterdir()] == [f"{path.name}.gz"]
    assert runs == [1, 1, 2]
    (packed,) = path.parent.iterdir()
    assert gzip.decompress(packed.read_bytes()).count(b"\n") == 2
    packed.write_bytes(packed.read_bytes()[:20])
    command.check(Console(quiet=True), path, full=True)
    assert runs == [1, 1, 2, 2], "a damaged file counts as none"
    monkeypatch.setattr(command, "entry_points", lambda group: [group])
    command.check(Console(quiet=True), path, full=True)
    assert runs == [1, 1, 2, 2, 2], "the code of a plug-in may have changed"


def test_hard_cases_run_on_every_device_of_the_machine(kept, monkeypatch):
    """`lossimpl check` itself reads the options that the sweep gives it."""
    from lossimpl.commands import check

    asked, jobs = [], []
    monkeypatch.setattr(command, "ROOT", kept.root)
    (kept.root / ".asv").mkdir()
    monkeypatch.setattr(command, "devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(subprocess, "run", lambda given, **options: asked.append(given[given.index("check") :]))
    command.check(Console(quiet=True), kept.side_car("conformance"), full=False)
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


def test_a_quick_sweep_covers_every_loss_and_implementation():
    """Each is selected at least once on the CPU, those of other packages on CUDA; never for a device that is absent."""
    quick = questions.select(LOSSES, ["cpu"], "quick")
    selected = {(q.stem, q.params[0]) for q in quick}
    known = {(loss, name) for loss, one in LOSSES.items() for name in one.implementations}
    packages = {(loss, name) for loss, name in known if questions.of_a_package(name)}
    assert known - selected == packages
    assert packages <= {(q.stem, q.params[0]) for q in questions.select(LOSSES, ["cpu", "cuda"], "quick")}
    assert not any("cuda" in q.params for q in quick)
    assert len(quick) < 200


def test_the_table_of_cuda_has_every_other_package():
    """Each implementation that another package registers is selected on CUDA, under the name that it registers."""
    packages = {(loss, name) for loss, one in LOSSES.items() for name in one.implementations}
    packages = {(loss, name) for loss, name in packages if questions.of_a_package(name)}
    table = questions.select(LOSSES, ["cpu", "cuda"], "table")
    assert ("triplet_margin_loss", "pytorch-metric-learning") in packages
    assert packages <= {(q.stem, q.implementation) for q in table if q.device == "cuda"}
    assert not packages & {(q.stem, q.implementation) for q in table if q.device == "cpu"}


@pytest.mark.parametrize("grid", ["quick", "table"])
def test_an_implementation_from_outside_is_measured_where_native_is(grid, monkeypatch):
    """A name that someone appended to a benchmark's list is taken by every grid."""
    from benchmarks.l1_loss import L1Loss

    implementations, *others = L1Loss.params
    monkeypatch.setattr(L1Loss, "params", ((*implementations, "mine"), *others))
    rows = questions.select(["l1_loss"], ["cpu", "cuda"], grid)
    where = {name: {row.params[1:] for row in rows if row.params[0] == name} for name in ("mine", "native")}
    assert where["native"]
    assert where["mine"] == where["native"]


def test_only_cuda_has_graphs():
    """The table has them at sizes where the host's time matters, for native and for every alternative."""
    rows = {grid: questions.select(LOSSES, ["cpu", "cuda"], grid) for grid in questions.GRIDS}
    assert not any({"graph", "cpu"} <= set(q.params) for selected in rows.values() for q in selected)
    graphs = {q.params[:2] for q in rows["table"] if q.params[-1] == "graph" and q.stem == "cross_entropy"}
    assert graphs == set(itertools.product(["native", "torch", "compiled", "liger", "quack"], ["32x10", "256x1000"]))


def test_what_an_earlier_session_compiled_is_not_compiled_again(tmp_path, monkeypatch):
    """The second session compiles nothing; with other sources, another torch or an empty cache, it compiles again."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    started = []

    def start(rows, root, log):
        started.extend(rows)
        log.write_text("".join(row.words + "\n" for row in rows))
        return []

    monkeypatch.setattr(warm, "start", start)
    (tmp_path / "lossimpl").mkdir()
    rows, console = [row_of(implementation="compiled")], Console(file=io.StringIO())
    for _ in range(2):
        warm.up(rows, tmp_path, console)
    assert started == rows
    (tmp_path / "lossimpl" / "changed.cpp").write_text("int changed;")
    warm.up(rows, tmp_path, console)
    assert started == 2 * rows
    monkeypatch.setattr(torch, "__version__", "another")
    warm.up(rows, tmp_path, console)
    assert started == 3 * rows
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    warm.up(rows, tmp_path, console)
    assert started == 4 * rows


def test_only_compiled_code_is_made_before_measuring():
    """A graph per compiled row, one build per loss for its kernels; the work is divided by loss."""
    quick = questions.select(LOSSES, ["cpu"], "quick")
    wanted = warm.to_compile(quick)
    assert {q.params[0] for q in wanted} == {"compiled", TORCH_COMPILED, "native"}
    assert len([q for q in wanted if q.params[0] == "native"]) == len(LOSSES)
    first, second = warm.shares(wanted, 2)
    assert sorted(first + second) == sorted(wanted)
    assert not {q.stem for q in first} & {q.stem for q in second}


def test_the_summary_ranks_before_it_complains():
    """The fastest of the largest step first, by the ratio within rounds; then disturbed rows, then failures."""
    rows = [
        *(store.session_record([one_round(row_of(implementation=name, shape="16384x1024"), number, seconds * number)
          for number in range(1, 6)], "s1") for name, seconds in (("native", 1.0), ("torch", 4.0))),
        store.session_record([one_round(row_of("l1_loss"), number, busy=BUSY) for number in range(1, 6)], "s1"),
        one_round(row_of("huber_loss"), 1, status="wrong", reason="off"),
        {"benchmark": LOADING, "params": ["'digits'"], "dataset": "digits", "status": "ok", "reason": "",
         "samples_per_second": [100.0, 120.0, 110.0],
         "scenario": {"num_workers": 2, "pin_memory": False, "batch_size": 64}},
    ]  # fmt: skip
    console = Console(width=140, record=True, file=io.StringIO())
    summary.show(console, rows)
    shown = console.export_text()
    assert re.search(r"mse_loss +16384x1024 +native +2\.61 s +4\.00× \(4\.00 to 4\.00×\) torch", shown)
    assert re.search(r"digits +num_workers=2, pin_memory=False, batch_size=64 +110", shown)
    assert shown.index("mse_loss") < shown.index("disturbed: 1 of 4 rows") < shown.index("wrong: huber_loss")


def test_no_process_is_started_without_work():
    """Sixty cores and two losses: two processes."""
    quick = warm.to_compile(questions.select(["l1_loss", "mse_loss"], ["cpu"], "quick"))
    assert len(warm.shares(quick, 60)) == 2


def session_rows(times):
    """The rows of one session: times per round by implementation."""
    records = (
        [one_round(row_of(implementation=name), n, s) for n, s in enumerate(each, 1)] for name, each in times.items()
    )
    return [from_record(store.session_record(one, "s")) for one in records]


def test_the_self_test_counts_what_the_next_session_confirms():
    """Both are 3 % slower in the second session, outside their intervals of ±1.8 %; their ratio has not changed."""
    rounds = [1.0, 1.01, 0.99, 1.01, 0.99]
    first = session_rows({"native": rounds, "torch": [4 * one for one in rounds]})
    second = session_rows({"native": [1.03 * one for one in rounds], "torch": [4.12 * one for one in rounds]})
    record = selftest.record_of("m", {"a": first, "b": second})
    assert record["coverage"] == {
        "time": {"rows": 2, "covered": 0},
        "ratio": {"rows": 1, "covered": 1},
        "share": {"rows": 2, "covered": 0},
    }
    assert record["drift"] == pytest.approx(0.03)
    assert record["identical_series"] == {"rows": 1, "flagged": 0}  # ±1.8 % on both sides overlap
    assert json.dumps(record)


def test_rounds_are_recommended_for_five_percent():
    """A standard deviation of 0.05 between rounds: t s sqrt(2/n) falls below log(1.05) at n = 11, by scipy's t."""
    from scipy.stats import t

    ratios = [0.95, 1.05] * 4  # of logs: a standard deviation of 0.0535
    first = session_rows({"native": [1.0] * 8, "torch": ratios})
    found = selftest.record_of("m", {"a": first, "b": first})["recommended_rounds"]
    spread = 0.05350
    needed = [n for n in range(5, 40) if t.ppf(0.975, n - 1) * spread * (2 / n) ** 0.5 <= 0.04879]
    assert found == needed[0]
