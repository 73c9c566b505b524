"""Memory, ceilings, caches, threads and the watch over other processes: what can be known beforehand, is compared."""

import pytest
import torch

from lossimpl.measure import busy, caches, ceilings, memory, roofline, threads

MEBIBYTE = 1 << 20


def test_peak_counts_all_that_is_live_at_once():
    """Two results of 4 MiB live together, then one more of 4 MiB after one was dropped: 8 MiB, not 12."""
    x = torch.ones(MEBIBYTE)

    def call():
        a = x + 1
        b = a * 2
        del a
        return b.exp_() + 0 if b.numel() < 0 else b.sum()

    assert 8 * MEBIBYTE <= memory.peak(call) < 8.1 * MEBIBYTE


def test_peak_does_not_count_what_was_there_before():
    """A call that works in place takes nothing."""
    x = torch.ones(MEBIBYTE)
    assert memory.peak(lambda: x.add_(1)) < 1024


def test_saved_counts_each_storage_once_and_no_input():
    """exp keeps its result (4 MiB), for its own backward and for the product's; x itself is an input."""
    x = torch.ones(MEBIBYTE, requires_grad=True)

    def step():
        y = x.exp()
        (y * y * x).sum().backward()
        x.grad = None

    # exp saves y; y * y saves y twice; (y * y) * x saves y * y and x: 4 MiB for y and 4 MiB for y * y
    assert memory.saved(step, [x]) == 8 * MEBIBYTE


def test_saved_sees_a_view_as_its_storage():
    """A narrow view that is kept keeps the whole storage alive."""
    x = torch.ones(MEBIBYTE, requires_grad=True)

    def step():
        wide = x * 2
        (wide[:10] * wide[:10]).sum().backward()
        x.grad = None

    assert memory.saved(step, [x]) == 4 * MEBIBYTE


def test_whoever_copies_can_read_as_fast():
    """Reads are never slower than the copy, and both are bytes per second of a machine of this century."""
    limits = ceilings.measure("cpu", 8 * MEBIBYTE)
    assert limits.read >= limits.copy > 1e8
    assert limits.threads == torch.get_num_threads()


def test_ceilings_are_measured_once():
    """The second time, the same numbers come back: a probe is kept for its size."""
    assert ceilings.measure("cpu", 3 * MEBIBYTE) == ceilings.measure("cpu", 3 * MEBIBYTE)


def test_a_tiny_case_is_held_against_a_cache_not_against_the_cost_of_a_call():
    """A kilobyte's ceiling is a cache's: no slower than that of half the last cache."""
    half = caches.sizes()["L3"] // 2
    assert ceilings.measure("cpu", 1000).copy >= ceilings.measure("cpu", half).copy * 0.999


def test_levels_follow_the_sizes(monkeypatch):
    """A working set belongs to the smallest level that holds all of it."""
    monkeypatch.setattr(caches, "sizes", lambda: {"L2": 100, "L3": 1000})
    assert [caches.level_of(size) for size in (100, 101, 1000, 1001)] == ["L2", "L3", "L3", "memory"]


def test_shared_caches_are_counted_once(tmp_path, monkeypatch):
    """Two cores with 1 MiB each and 32 MiB together, as the kernel lists them; caches of instructions do not count."""
    for core in (0, 1):
        own = [("Data", 1, str(core), "32K"), ("Instruction", 1, str(core), "32K"), ("Unified", 2, str(core), "1024K")]
        for index, values in enumerate([*own, ("Unified", 3, "0-1", "32768K")]):
            folder = tmp_path / f"cpu{core}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            for name, value in zip(("type", "level", "shared_cpu_list", "size"), values, strict=True):
                (folder / name).write_text(f"{value}\n")
    monkeypatch.setattr(caches, "CORES", tmp_path)
    monkeypatch.setattr(caches.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert caches.sizes.__wrapped__() == {"L2": 2 << 20, "L3": 32 << 20}


def test_a_rate_above_the_ceiling_is_impossible_only_beyond_the_margin():
    """The margin is for the noise of the ceiling itself."""
    assert roofline.impossible(1000, 1 / roofline.MARGIN, 1000.0) == ""
    assert "times the ceiling" in roofline.impossible(1000, 0.99 / roofline.MARGIN, 1000.0)


@pytest.mark.parametrize(
    ("stolen", "others", "words"),
    [(0.0, 0.0, ""), (0.2, 0.0, "hypervisor took 10%"), (0.0, 0.5, "other processes took 25%"), (0.02, 0.1, "")],
)
def test_the_watch_says_who_took_the_time(stolen, others, words):
    """One second on two cores: above 2 percent of steal or 10 percent of others there is a warning with the share."""
    before = busy.Counters(stolen=5.0, spent=100.0, own=50.0, clock=10.0)
    after = busy.Counters(stolen=5.0 + stolen, spent=101.5 + others, own=51.5, clock=11.0)
    assert words in busy.judge(before, after, cores=2)
    assert bool(words) == bool(busy.judge(before, after, cores=2))


def test_a_few_ticks_prove_nothing():
    """Counters tick in hundredths of a second: two ticks in 20 ms are not half the machine."""
    before = busy.Counters(0.0, 0.0, 0.0, 0.0)
    assert busy.judge(before, busy.Counters(0.02, 0.02, 0.0, 0.02), cores=2) == ""


def test_the_variable_sets_the_threads(monkeypatch):
    """LOSSIMPL_THREADS wins over the cores, and torch follows."""
    was = torch.get_num_threads()
    monkeypatch.setenv("LOSSIMPL_THREADS", "1")
    assert (threads.fix(), torch.get_num_threads()) == (1, 1)
    torch.set_num_threads(was)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_thread_count_that_is_none_is_refused(monkeypatch, text):
    """The message names the variable and the value."""
    monkeypatch.setenv("LOSSIMPL_THREADS", text)
    with pytest.raises(ValueError, match=f"LOSSIMPL_THREADS.*{text}"):
        threads.wanted()


@pytest.mark.parametrize(("text", "limit"), [("max 100000", None), ("150000 100000", 1.5), ("400000 100000", 4.0)])
def test_the_quota_of_the_control_group_limits_the_cores(tmp_path, monkeypatch, text, limit):
    """Quota over period, as the kernel documents cpu.max; at least one core, at most those there are."""
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(threads, "CGROUP_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert threads.cgroup_limit() == limit
    assert threads.usable_cores() == {None: 3, 1.5: 1, 4.0: 3}[limit]
