"""Comparing one case in rounds: what is measured, repeated, left out and ranked, on rounds that a script plays."""

import dataclasses
import json
import threading

import pytest
import torch

import lossimpl
from lossimpl import comparison, ranked
from lossimpl.forks import Outcome
from lossimpl.row import Round, Row
from lossimpl.spec import Case

CASE = Case("mse_loss", (8, 4))


def one_round(number, seconds, busy=""):
    """A round with one sample."""
    return Round(number, 1, seconds, (seconds,), 1, "sample-cap", 0.0, 0.0, 0.0, busy, 1e10, "")


def row(name, *rounds, **fields):
    """A correct row of the case."""
    return Row("mse_loss", name, "8x4", "float32", "cpu", "step", {}, "normal", 0, rounds=rounds, traffic=384, **fields)


class Script:
    """A runner whose times, disturbances and hangs are given per implementation."""

    def __init__(self, times, busy=lambda number: "", hangs=()):
        self.times, self.busy, self.hangs, self.tasks = times, busy, hangs, []

    def run(self, task, seconds, began=None):
        self.tasks.append(task)
        for name in task.implementations:
            if name in self.hangs:
                return Outcome((), "no answer within 15 s", name, calling=12.0)
        rows = [
            row(name, one_round(task.number, self.times[name] * (1 + task.number / 1e3), self.busy(task.number)))
            for name in task.implementations
        ]
        return Outcome(tuple(rows))


def test_rounds_hold_all_implementations_and_rank_them():
    """After each has run alone, five rounds measure both; the slower one is second with a paired ratio of 2."""
    script = Script({"torch": 2.0e-3, "native": 1.0e-3})
    rows = comparison.measured(script, CASE, ["torch", "native"])
    assert [task.implementations for task in script.tasks] == [("torch",), ("native",), *[("torch", "native")] * 5]
    found = ranked.ranked(rows)
    assert [(one.rank, one.row.implementation) for one in found] == [(1, "native"), (2, "torch")]
    assert found[1].slower == pytest.approx((2.0, 2.0, 2.0))
    assert found[0].torch == pytest.approx((2.0, 2.0, 2.0))


def test_disturbed_rounds_are_repeated_and_bounded():
    """Two of five disturbed: one more round makes four quiet ones. All disturbed: ten rounds, a reason and no rank."""
    some = Script({"torch": 1e-3}, busy=lambda number: "a neighbour" * (number in (1, 2)))
    (found,) = comparison.measured(some, CASE, ["torch"])
    assert (found.status, len(found.rounds)) == ("ok", 6)
    every = Script({"torch": 1e-3}, busy=lambda number: "other processes took 83% of the processor time")
    (found,) = comparison.measured(every, CASE, ["torch"])
    assert (found.status, len(found.rounds)) == ("disturbed", 10)
    assert ranked.ranked([found]) == []
    assert ranked.unranked([found]) == [("torch", "disturbed", "about 1.01 ms")]
    assert any("other processes took 83%" in str(part) for part in ranked.rendered([found], "title", 80))


def test_far_behind_is_bounded_below_and_not_measured_again():
    """2 s against 1 ms: at least 1990 times as slow (the slowest of five rounds of the fastest took 1.005 ms)."""
    script = Script({"native": 1e-3, "naive": 2.0})
    rows = comparison.measured(script, CASE, ["naive", "native"])
    assert sum("naive" in task.implementations for task in script.tasks) == 1
    assert rows[0].reason == "at least 1990 times as slow as native (2 s per call)"
    assert [one.row.implementation for one in ranked.ranked(rows)] == ["native"]
    assert ranked.unranked(rows)[0][1] == "far behind"


def test_one_that_hangs_is_not_waited_for():
    """12 s in at most six calls are at least 2 s per call; the others are measured."""
    script = Script({"native": 1e-3}, hangs=("naive",))
    rows = comparison.measured(script, CASE, ["naive", "native"])
    assert rows[0].status == "unavailable"
    assert rows[0].reason == "no answer within 15 s: a call takes at least 2 s, at least 2000 times as long as native"
    assert rows[1].status == "ok"


def test_ties_share_a_rank_and_few_rounds_have_none():
    """Ratios that scatter around 1 are a tie; three rounds support no interval."""
    one = row("a", *(one_round(n, 1.0) for n in range(1, 6)))
    other = row("b", *(one_round(n, t) for n, t in enumerate((1.1, 0.9, 1.05, 0.98, 1.02), 1)))
    found = ranked.ranked([one, other])
    assert [each.rank for each in found] == [1, 1]
    assert ranked.sentence(found) == "a and b are statistically tied as the fastest."
    few = ranked.ranked([dataclasses.replace(one, rounds=one.rounds[:3])])
    assert "3 rounds support no interval" in ranked.sentence(few)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits(width):
    """No line is wider than the terminal."""
    from rich.console import Console

    rows = [
        row(name, *(one_round(n, t * n) for n in range(1, 6))) for name, t in (("torch-compiled", 1.0), ("torch", 2.0))
    ]
    console = Console(width=width, record=True)
    for part in ranked.rendered(rows, "title", width):
        console.print(part)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "2.00×" in text


def test_own_functions_and_tensors():
    """A lambda beside torch, on tensors of one's own with a weight; a wrong one is named and not ranked."""
    a, b = torch.randn(16, 4), torch.randn(16, 4)
    mine = {
        "mine": lambda input, target, reduction="mean", weight=None: torch.nn.functional.mse_loss(
            input, target, weight=weight
        ),
        "wrong": lambda input, target, reduction="mean", weight=None: (input - target).abs().mean(),
    }
    found = lossimpl.compare(
        "mse_loss", a, b, implementations=mine, beside=["torch"], rounds=1, weight=torch.rand(16, 4)
    )
    statuses = {one.implementation: one.status for one in found.rows}
    assert statuses["mine"] in ("ok", "disturbed")
    assert statuses["wrong"] == "wrong"
    assert [record["implementation"] for record in found.to_records()] == ["torch", "mine", "wrong"]
    assert "given inputs" in repr(found)
    json.dumps(found.stored())


def test_refusals_name_the_argument():
    """Before anything is measured: a taken name, a bad option, what cannot be sent to another process."""
    a = torch.ones(4)
    with pytest.raises(ValueError, match="'torch' is taken"):
        lossimpl.compare("mse_loss", a, a, implementations={"torch": torch.nn.functional.mse_loss})
    with pytest.raises(ValueError, match="label_smoothing must be between"):
        lossimpl.compare("cross_entropy", torch.ones(2, 3), torch.tensor([0, 1]), label_smoothing=2.0)
    lock = threading.Lock()
    with pytest.raises(ValueError, match="'mine' cannot be sent to another process"):
        lossimpl.compare("mse_loss", a, a, implementations={"mine": lambda *given, **options: lock}, beside=[])
