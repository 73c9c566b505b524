"""A round: agreement before time, each way not to be ranked, and the row that rounds make; on planted functions."""

import dataclasses
import json
import random
import statistics
import time

import pytest
import torch
import torch.nn.functional as F

from lossimpl import candidates, registry, rounds
from lossimpl.measure import clock, workload
from lossimpl.measure.types import Rule, Timing
from lossimpl.ranking import FEWEST_ROUNDS
from lossimpl.row import combined
from lossimpl.spec import Case, Implementation, Unavailable

FAST = Rule(max_seconds=0.02)
SMALL = Case("mse_loss", (8, 4))


@pytest.fixture
def planted(monkeypatch):
    """Put a function among the implementations of mse_loss for one test, and measure it."""

    def measure(function, case=SMALL, **fields):
        one = Implementation("planted", lambda device: function, **fields)
        monkeypatch.setitem(registry.get("mse_loss").implementations, "planted", one)
        return rounds.measure_round(case, ["planted"], rule=FAST)[0]

    return measure


def test_a_right_implementation_is_timed(planted):
    """torch's own mse_loss is right: samples, agreement, ceiling, share, memory and manifest are all there."""
    found = planted(F.mse_loss)
    assert (found.status, found.reason) == ("ok", "")
    (one,) = found.rounds
    assert len(one.samples) >= 7
    assert found.agreement["verdict"] == "ok"
    assert (found.ceiling_name, found.level) == ("copy", "L2")
    assert 0 < numbered(found, 1, busy="").shares[1] < 1
    assert found.traffic == registry.get("mse_loss").traffic(SMALL)
    assert found.threads == torch.get_num_threads()
    assert found.manifest
    assert found.peak_bytes is not None
    assert json.loads(json.dumps(dataclasses.asdict(found)))["rounds"][0]["samples"] == list(one.samples)


@pytest.mark.parametrize("mode", ["forward", "step", "backward"])
def test_every_mode_is_timed(planted, mode):
    """A forward pass is held against the read ceiling, what has a gradient against the copy."""
    found = planted(F.mse_loss, dataclasses.replace(SMALL, mode=mode))
    assert (found.status, found.ceiling_name) == ("ok", "read" if mode == "forward" else "copy")


def test_no_graph_is_recorded_on_a_cpu(planted):
    """The row says so; it is not a step under another name."""
    found = planted(F.mse_loss, dataclasses.replace(SMALL, mode="graph"))
    assert (found.status, found.rounds) == ("unavailable", ())
    assert "needs CUDA" in found.reason


@pytest.mark.slow
def test_a_compiled_backward_pass_is_timed_after_a_step():
    """torch.compile gives saved memory away after one pass, and the step before has compiled it so."""
    case = Case("l1_loss", (32, 10))
    modes = [dataclasses.replace(case, mode=mode) for mode in ("step", "backward")]
    found = [rounds.measure_round(one, ["compiled"], rule=FAST)[0] for one in modes]
    assert [(one.status, one.reason) for one in found] == [("ok", "")] * 2


def test_a_forward_pass_builds_no_graph(planted):
    """The inputs of a forward case ask for no gradient."""
    asked = []

    def function(input, target, reduction="mean"):
        asked.append(input.requires_grad)
        return F.mse_loss(input, target, reduction=reduction)

    planted(function, dataclasses.replace(SMALL, mode="forward"))
    assert not any(asked[-10:])


def test_a_wrong_value_is_wrong_and_not_timed(planted):
    """One percent too much is far beyond float32's tolerance."""
    found = planted(lambda input, target, reduction="mean": 1.01 * F.mse_loss(input, target, reduction=reduction))
    assert (found.status, found.rounds) == ("wrong", ())
    assert found.reason


def test_a_wrong_gradient_is_wrong(planted):
    """The value is right and the gradient is none of this input's: detached, and replaced by that of a sum."""

    def function(input, target, reduction="mean"):
        value = F.mse_loss(input, target, reduction=reduction)
        return value.detach() + (input - input.detach()).sum()

    assert planted(function).status == "wrong"


def test_an_error_is_a_row_with_its_first_line(planted):
    """Whatever an implementation raises is reported, by type and first line."""

    def function(input, target, reduction="mean"):
        raise RuntimeError("\n  shape not served\nlong trace")

    found = planted(function)
    assert (found.status, found.reason) == ("error", "RuntimeError: shape not served")


def test_unavailable_is_a_row_with_the_reason(planted):
    """Said beforehand for the device, beforehand for the case, or by the call itself."""

    def refuses(input, target, reduction="mean"):
        raise Unavailable("only on Sundays")

    found = [
        planted(F.mse_loss, available=lambda device: "no such device"),
        planted(F.mse_loss, serves=lambda case: "too large"),
        planted(refuses),
    ]
    assert [(one.status, one.reason) for one in found] == [
        ("unavailable", "no such device"),
        ("unavailable", "too large"),
        ("unavailable", "only on Sundays"),
    ]


def test_work_that_is_skipped_where_nobody_checks_is_impossible(planted):
    """Agreement is looked at on a million elements; above, this one returns at once. 128 MiB in microseconds is not."""

    def cheats(input, target, reduction="mean"):
        if input.numel() > candidates.CHECKED_ELEMENTS:
            return input[0, 0]
        return F.mse_loss(input, target, reduction=reduction)

    found = planted(cheats, Case("mse_loss", (4096, 4096), mode="forward"))
    assert found.status == "impossible"
    assert "times the ceiling" in found.reason
    assert found.checked_shape == "256x4096"


def test_what_a_device_records_beside_its_samples_is_kept(planted, monkeypatch):
    """A GPU's timing has more fields than a wall clock's; none of them may get lost on the way to the side-car."""

    @dataclasses.dataclass(frozen=True)
    class WithClock(Timing):
        host_samples: tuple[float, ...] = (1.0,)
        cold: bool = True

    in_turns = clock.time_in_turns

    def time_in_turns(*arguments):
        return {name: WithClock(**vars(timing)) for name, timing in in_turns(*arguments).items()}

    monkeypatch.setattr(clock, "time_in_turns", time_in_turns)
    found = planted(F.mse_loss)
    assert found.rounds[0].beside == {"host_samples": (1.0,), "cold": True}
    assert found.protocol.startswith("cold cache; ")


def test_implementations_take_turns(monkeypatch):
    """A machine that is half as fast for the second half of a round slows all implementations, so the ratio stays.

    The clock is simulated: the calls take 1 and 3 ms, and after 150 ms both take twice as long.
    """
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def call(seconds):
        def run():
            now[0] += seconds * (1 if now[0] < 0.15 else 2)

        return run

    rule = Rule(max_seconds=0.15, min_samples=3, max_samples=25, warmup_seconds=0.01)
    turns = {"fast": clock.Turns(call(0.001), rule), "slow": clock.Turns(call(0.003), rule)}
    found = clock.time_in_turns(turns, random.Random(0))
    fast, slow = (statistics.fmean(one.samples) for one in found.values())
    assert slow / fast == pytest.approx(3.0, rel=0.05)


def test_a_call_that_takes_too_long_has_one_sample_and_no_further_warm_up():
    """Its second call counts; the first may have compiled."""
    calls = []

    def function(input, target, reduction="mean"):
        if input.shape == (8, 4):
            calls.append(time.sleep(6 * FAST.max_seconds))
        return F.mse_loss(input, target, reduction=reduction)

    one = Implementation("planted", lambda device: function)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.get("mse_loss").implementations, "planted", one)
        (found,) = rounds.measure_round(dataclasses.replace(SMALL, mode="forward"), ["planted"], 2, FAST, ["planted"])
    assert (len(calls), len(found.rounds[0].samples), found.rounds[0].warmup_seconds) == (2, 1, 0.0)


def test_checks_on_another_shape_come_before_every_first_call(monkeypatch):
    """What was compiled for the shape of the check is dropped once, before any call that is timed has been compiled."""
    log = []

    def function(input, target, reduction="mean"):
        log.append(input.shape[0])
        return F.mse_loss(input, target, reduction=reduction)

    for name in ("one", "other"):
        planted = Implementation(name, lambda device: function)
        monkeypatch.setitem(registry.get("mse_loss").implementations, name, planted)
    monkeypatch.setattr(workload, "forget_compiled", lambda: log.append("forget"))
    found = rounds.measure_round(Case("mse_loss", (2048, 1024), mode="forward"), ["one", "other"], 1, FAST)
    assert [row.status for row in found] == ["ok", "ok"]
    assert log.count("forget") == 1
    middle = log.index("forget")
    assert set(log[:middle]) == {1024}
    assert set(log[middle + 1 :]) == {2048}


def test_inputs_that_are_changed_later_are_wrong_too(monkeypatch):
    """From its tenth call on it writes into its inputs; the other implementation is not blamed."""
    calls = []

    def function(input, target, reduction="mean"):
        calls.append(1)
        if len(calls) >= 10:
            with torch.no_grad():
                target.mul_(1.0)
        return F.mse_loss(input, target, reduction=reduction)

    monkeypatch.setitem(
        registry.get("mse_loss").implementations, "planted", Implementation("planted", lambda device: function)
    )
    found = rounds.measure_round(SMALL, ["planted", "torch"], 2, FAST, ["planted", "torch"])
    assert [(row.status, len(row.rounds)) for row in found] == [("wrong", 0), ("ok", 1)]


def test_the_next_case_does_not_get_inputs_that_were_changed(monkeypatch):
    """Modes of a case share their numbers; those that an implementation changed are drawn anew."""

    def function(input, target, reduction="mean"):
        with torch.no_grad():
            target.zero_()
        return F.mse_loss(input, target, reduction=reduction)

    monkeypatch.setitem(
        registry.get("mse_loss").implementations, "planted", Implementation("planted", lambda device: function)
    )
    loss = registry.get("mse_loss")
    clean = workload.inputs_of(loss, SMALL).tensors[1].clone()
    rounds.measure_round(SMALL, ["planted"], 2, FAST, ["planted"])
    assert torch.equal(workload.inputs_of(loss, dataclasses.replace(SMALL, mode="forward")).tensors[1], clean)


def test_a_gpu_row_has_the_level_of_its_own_ceiling(single, monkeypatch):
    """A small working set lies in a cache of the CPU; the ceiling of a GPU is that of its memory, as cuda.py says."""
    from lossimpl.measure import ceilings, cuda

    monkeypatch.setattr(cuda, "memory_rates", lambda: (2e12, 2e12))
    row = rounds._held_against(single, ceilings.Search("cuda", 1000))
    assert (row.level, row.rounds[0].ceiling) == ("memory", 2e12)


def test_an_implementation_that_fails_later_is_an_error_and_the_others_go_on(monkeypatch):
    """It raises in its tenth call, amid the turns of the round."""
    calls = []

    def function(input, target, reduction="mean"):
        calls.append(1)
        if len(calls) == 10:
            raise RuntimeError("worn out")
        return F.mse_loss(input, target, reduction=reduction)

    one = Implementation("planted", lambda device: function)
    monkeypatch.setitem(registry.get("mse_loss").implementations, "planted", one)
    found = rounds.measure_round(SMALL, ["planted", "torch"], 2, FAST, ["planted", "torch"])
    assert [(row.status, len(row.rounds)) for row in found] == [("error", 0), ("ok", 1)]
    assert found[0].reason == "RuntimeError: worn out"


def test_unknown_names_are_errors_that_list_the_known():
    """Nothing was measured, so there is no row."""
    with pytest.raises(ValueError, match="vectorized"):
        rounds.measure_round(SMALL, ["vectorised"])
    with pytest.raises(ValueError, match="mse_loss"):
        rounds.measure_round(Case("mse", (2, 2)), ["torch"])


def test_a_bounded_case_keeps_its_columns():
    """Rows go, columns stay: a vocabulary of 50257 is still checked as one."""
    assert candidates.bounded(Case("cross_entropy", (2048, 50257))).shape == (20, 50257)
    assert candidates.bounded(Case("mse_loss", (1 << 24,))).shape == (1 << 20,)
    assert candidates.bounded(SMALL) is SMALL


def test_no_gradient_is_left_behind(planted):
    """Each step starts as `set_to_none` leaves it, or later steps would only add."""
    seen = []

    def function(input, target, reduction="mean"):
        seen.append(input.grad is None)
        return F.mse_loss(input, target, reduction=reduction)

    planted(function)
    assert all(seen)


def test_the_order_of_a_round_is_random_and_reproducible(monkeypatch):
    """In eight rounds each of three implementations comes first at least once; the same number gives the same order."""
    names = ["torch", "vectorized", "naive"]

    def order(number):
        found = rounds.measure_round(SMALL, names, number, FAST, checked=names)
        assert [one.implementation for one in found] == names
        return tuple(one.rounds[0].position for one in found)

    orders = [order(number) for number in range(1, 9)]
    assert {one.index(1) for one in orders} == {0, 1, 2}
    assert order(1) == orders[0]


def test_a_checked_implementation_is_not_checked_again(planted, monkeypatch):
    """Its row lacks agreement and memory, which the row of the first round has."""
    monkeypatch.setattr(candidates, "compare", lambda *arguments: pytest.fail("checked again"))
    (found,) = rounds.measure_round(SMALL, ["torch"], 2, FAST, checked=["torch"])
    assert (found.status, found.agreement, found.peak_bytes) == ("ok", None, None)


def test_changed_inputs_are_wrong(planted):
    """The implementations of a round share their inputs; one that writes into them would be timed on other numbers."""

    def function(input, target, reduction="mean"):
        with torch.no_grad():
            target.mul_(1.0)
        return F.mse_loss(input, target, reduction=reduction)

    found = planted(function)
    assert (found.status, found.rounds) == ("wrong", ())
    assert "changes its inputs" in found.reason


def numbered(row, number, **changes):
    """The row of a round under another number, with changes of the round."""
    return dataclasses.replace(row, rounds=(dataclasses.replace(row.rounds[0], number=number, **changes),))


@pytest.fixture(scope="module")
def single():
    """A measured row of one quiet round."""
    return numbered(rounds.measure_round(SMALL, ["torch"], 1, FAST)[0], 1, busy="")


def test_the_row_of_a_session_keeps_every_round(single):
    """Four quiet rounds and a disturbed one: all are kept, and the quiet ones count."""
    parts = [numbered(single, number, seconds=float(number), busy="busy" * (number == 3)) for number in range(1, 6)]
    found = combined(parts)
    assert (found.status, len(found.rounds)) == ("ok", 5)
    assert found.times == {1: 1.0, 2: 2.0, 4: 4.0, 5: 5.0}
    assert found.agreement == single.agreement


def test_too_few_quiet_rounds_are_disturbed(single):
    """One fewer than an interval needs; without a disturbed round the row is ok, and merely has no interval."""
    quiet = [numbered(single, number) for number in range(1, FEWEST_ROUNDS)]
    found = combined([*quiet, numbered(single, 9, busy="a neighbour")])
    assert (found.status, found.reason) == (
        "disturbed",
        "1 of 4 rounds were disturbed, the first because a neighbour",
    )
    assert set(found.times) == {1, 2, 3, 9}
    assert combined(quiet).status == "ok"


def test_one_failed_round_of_five_does_not_fail_the_row(single):
    """An error in a minority of rounds leaves the others; in a majority it is the row's status."""
    failed = dataclasses.replace(single, status="error", reason="no memory", rounds=(), agreement=None)
    good = [numbered(single, number) for number in range(1, 6)]
    assert combined([failed, *good]).status == "ok"
    assert combined([good[0], failed, failed]).reason == "no memory"
    wrong = dataclasses.replace(single, status="wrong", reason="off", rounds=())
    assert combined([wrong, *good]).status == "wrong"
