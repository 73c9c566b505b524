"""Instruction counts: dumps, tolerances, when another pair of processes is counted, and their self-test."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lossimpl.building import clean_environment
from reports.gate import instructions
from reports.gate.processes import ask
from reports.gate.selftest_instructions import by_instructions
from reports.record.rows import Row
from reports.site.pages import gate


def dump(folder, number, label, total):
    text = f"version: 1\ndesc: Trigger: Client Request: {label}\nevents: Ir\nsummary: {total}\n"
    (folder / f"out.{number}").write_text(text)


def test_dumps_become_instructions_per_call(tmp_path):
    """(total at 16 repeats - total at 1) / 15; a row with one dump only is left out."""
    assert instructions.REPEATS == (1, 16)
    dump(tmp_path, 1, '["a.A.t", ["x"], 1]', 1_200)
    dump(tmp_path, 2, '["a.A.t", ["x"], 16]', 16_200)
    dump(tmp_path, 3, '["a.A.t", ["y"], 1]', 1_200)
    assert instructions.read_dumps(tmp_path) == {Row("a.A.t", ("x",)): 1_000.0}


@pytest.mark.parametrize(
    ("heads", "flagged"), [((1_020, 1_020), True), ((1_009, 1_009), False), ((1_003, 1_040), False), ((980, 980), True)]
)
def test_instructions_are_judged_by_the_rows_own_tolerance(heads, flagged):
    """2 % is a change, 0.9 % is not; neither is a mean of 2 % of pairs that show 0.3 % and 4 %."""
    row = Row("a.A.t", ())
    counted = instructions.compared(row, [{row: 1_000.0}, {row: heads[0]}, {row: 1_000.0}, {row: heads[1]}])
    assert bool(instructions.change(counted)) is flagged


def test_hashes_that_change_both_sides_equally_are_not_noise():
    """The second pair takes 5 % more on both sides, head 2 % more in both: a change, at the smallest tolerance."""
    row = Row("a.A.t", ())
    counted = instructions.compared(row, [{row: 1_000.0}, {row: 1_020.0}, {row: 1_050.0}, {row: 1_071.0}])
    assert counted["tolerance"] == instructions.FLOOR
    assert [change.worse for change in instructions.change(counted)] == [True]


@pytest.mark.slow  # Valgrind starts Python, a few seconds
@pytest.mark.skipif(instructions.unavailable() is not None, reason=f"Callgrind: {instructions.unavailable()}")
def test_callgrind_counts_repeat_and_grow_with_the_work(tmp_path):
    """A loop of 20,000 iterations takes twice the instructions of 10,000 within 2 %, and repeats its counts."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    loop = "def ready(stem, count):\n    return lambda: [None for _ in range(int(count))]\n"
    (tmp_path / "benchmarks" / "calls.py").write_text(loop)
    marks = tmp_path / "marks.so"
    source = Path(instructions.__file__).with_name("marks.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", marks, source], check=True)
    runs = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder / 'out'}"]
        rows = [["a.A.track_seconds", ["10000"]], ["a.A.track_seconds", ["20000"]]]
        job = {
            "task": "counts",
            "suite": str(tmp_path),
            "marks": str(marks),
            "warmup": 3,
            "repeats": instructions.REPEATS,
            "rows": rows,
        }
        assert ask([*valgrind, sys.executable], job, clean_environment({}), 120).failure is None
        runs.append(instructions.read_dumps(folder))
    small, large = sorted(runs[0].values())
    assert large / small == pytest.approx(2, rel=0.02)
    assert runs[0] == pytest.approx(runs[1], rel=0.005)


ROW = Row("a.A.track_seconds", ("native", "8"))


def noisy(effect, noise, rng, asked):
    """Counts of a pair of processes: 100,000 instructions, head `effect` more, each with the noise of its process."""

    def both(sides, rows, which):
        asked.append((which.seed, rows))
        factors = np.exp(noise * rng.standard_normal(2))
        base, head = factors * (1e5, 1e5 * (1 + effect))
        return [dict.fromkeys(rows, base), dict.fromkeys(rows, head)], []

    return both


def counted(effect, noise, rng, folder, monkeypatch):
    """Whether one row is flagged, and by how many pairs it was counted."""
    asked = []
    monkeypatch.setattr(instructions, "_both", noisy(effect, noise, rng, asked))
    monkeypatch.setattr(instructions, "run", lambda command, folder: SimpleNamespace(returncode=0))
    runs, _ = instructions.count_sides(None, None, [ROW], folder)
    return bool(instructions.change(instructions.compared(ROW, runs))), len(asked)


def test_counts_that_repeat_are_counted_once(tmp_path, monkeypatch):
    """Identical code has identical counts: one pair of processes, no change."""
    assert counted(0.0, 0.0, np.random.default_rng(0), tmp_path / "counts", monkeypatch) == (False, 1)


@pytest.mark.parametrize(("effect", "right"), [(0.0, 0.995), (0.02, 0.995), (-0.02, 0.995)])
def test_a_noisy_row_is_counted_until_it_is_clear(tmp_path, monkeypatch, effect, right):
    """Processes vary by 0.4 %, more than in nine of ten real rows: in 400 trials, +-2 % is found and no change is not.

    A single pair of such processes is off by more than 1 % in 7 of 100 trials.
    """
    rng = np.random.default_rng(7)
    results = [counted(effect, 0.004, rng, tmp_path / str(index), monkeypatch) for index in range(400)]
    assert np.mean([flagged == bool(effect) for flagged, _ in results]) >= right
    assert max(pairs for _, pairs in results) == instructions.MOST_PAIRS
    assert np.mean([pairs for _, pairs in results]) < 4.5


def test_rows_are_counted_again_in_the_opposite_order_and_with_other_hashes(tmp_path, monkeypatch):
    """Of three rows the second repeats its counts; the others are counted again, reversed, with another seed."""
    rows, asked = [Row("a.A.track_seconds", (name,)) for name in "xyz"], []

    def both(sides, rows, which):
        asked.append((which.seed, [row.params[0] for row in rows]))
        return [dict.fromkeys(rows, 1e5), {row: 1e5 * (1.0 if row.params[0] == "y" else 1.02) for row in rows}], []

    monkeypatch.setattr(instructions, "_both", both)
    monkeypatch.setattr(instructions, "run", lambda command, folder: SimpleNamespace(returncode=0))
    runs, _ = instructions.count_sides(None, None, rows, tmp_path / "counts")
    assert asked == [(0, ["x", "y", "z"]), (1, ["z", "x"])]
    assert [bool(instructions.change(instructions.compared(row, runs))) for row in rows] == [True, False, True]


class Counting:
    """Calls of 1e5, 2e5, ... instructions, 75 per iteration. Head takes a share of `off` more, in a loop one of `near`.

    In a loop, rows are counted by two pairs that disagree by the shares of `torn`; those in `lost` are not counted.
    """

    def __init__(self, off=None, near=None, torn=None, lost=()):
        self.off, self.near, self.torn, self.lost = off or {}, near or {}, torn or {}, lost

    def counted(self, rows, plants):
        assert set(plants) == set(rows)
        return {row: self.compared(row, plants[row][1]) for row in rows if row not in self.lost or not plants[row][1]}

    def compared(self, row, iterations):
        base = 1e5 * int(row.params[1])
        near, torn = ({}, {}) if not iterations else (self.near, self.torn)
        head = base * (1 + self.off.get(row, 0.0) + near.get(row, 0.0)) + 75 * iterations
        apart = 1 + torn.get(row, 0.0) / 2
        return instructions.compared(row, [{row: base}, {row: head * apart}, {row: base}, {row: head / apart}])


INSTRUCTION_ROWS = [Row("a.A.track_seconds", ("native", str(number))) for number in range(1, 31)]


def test_the_self_test_counts_false_alarms_and_what_it_finds_of_two_percent(monkeypatch):
    """30 rows: each plant is 2 % of its row, rounded up to iterations of 75 instructions, and each is found."""
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    record = by_instructions(Counting(), INSTRUCTION_ROWS)
    assert (record["instruction_rows"], record["instruction_false_alarms"]) == (30, 0)
    assert (record["instruction_planted_found"], record["instruction_planted_missed"]) == ("30 of 30", "none")
    assert record["instruction_planted"] == "+2.00% to +2.02%"
    assert record["instruction_rows_not_counted"] == "none"
    assert [one["row"] for one in record["instruction_plants"]] == list(map(str, INSTRUCTION_ROWS))
    assert record["instruction_plants"][0] == {
        "row": "a.A.track_seconds('native', '1')",
        "planted": 0.02025,  # 27 iterations of 75 in 100,000
        "measured": 0.02025,
        "tolerance": 0.01,
        "pairs": 2,
        "found": "yes",
    }


def test_the_self_test_names_what_it_missed_and_what_it_flagged(monkeypatch):
    """A row that takes 3 % more on head is a false alarm; missed are one that hides its plant, one whose pairs disagree
    by 5 %, and one that could not be counted. All are named and counted."""
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    crooked, hiding, torn, lost = (INSTRUCTION_ROWS[index] for index in (11, 14, 17, 20))
    counting = Counting({crooked: 0.03}, {hiding: -0.0105}, {torn: 0.05}, {lost})
    record = by_instructions(counting, INSTRUCTION_ROWS)
    assert (record["instruction_false_alarms"], record["instruction_false_alarm_names"]) == (1, str(crooked))
    assert record["instruction_planted_found"] == "27 of 30"
    assert record["instruction_planted_missed"] == ", ".join(map(str, (hiding, torn, lost)))
    assert record["instruction_planted_measured"] == "+0.95% to +5.00%"
    assert record["instruction_plants"][20] == {"row": str(lost), "found": "not counted"}
    assert f"in 27 of 30 (not in {hiding}" in gate.reading(record)


def test_a_self_test_that_can_count_nothing_says_so(monkeypatch):
    """If Callgrind runs no row, the record has a reason instead of figures."""
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    nothing = SimpleNamespace(counted=lambda rows, plants: {})
    assert by_instructions(nothing, INSTRUCTION_ROWS) == {
        "instructions": "not counted: Callgrind ran 0 of 30 rows, and none with a plant"
    }
