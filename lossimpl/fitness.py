"""Is this machine fit for measuring? Each check gives a finding, with advice where something can be done.

A machine that is not fit still measures: its numbers scatter more, or depend on a state that was not chosen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psutil

from lossimpl import environment
from lossimpl.measure import busy, clock, threads, wall
from lossimpl.measure.types import Rule

CPU = Path("/sys/devices/system/cpu")
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
CGROUP_STATISTICS = Path("/sys/fs/cgroup/cpu.stat")
MEMORY_NEEDED = 4 << 30  # the largest case, 2048x50257 in float64, with its gradient and what eager code keeps
SCATTER_ALLOWED = 0.02


@dataclass(frozen=True)
class Finding:
    """One answer: `state` is `good`, `poor` or `unknown`; `advice` is empty where nothing is to be done."""

    topic: str
    state: str
    text: str
    advice: str = ""


def read(path: Path) -> str | None:
    """The text of a file in /proc or /sys, or None if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def check() -> Iterator[Finding]:
    """All findings; takes about a second, most of it to see what else runs."""
    yield others()
    yield quota()
    yield thread_count()
    yield siblings()
    yield governor()
    yield turbo()
    yield virtual()
    yield huge_pages()
    yield time_source()
    yield memory()
    yield scatter()


def others(seconds: float = 0.5) -> Finding:
    """Whether other processes or other guests use the processors now."""
    watch = busy.Watch()
    wall.sleep(seconds)
    found = watch.verdict()
    load = f"load average {os.getloadavg()[0]:.1f}"
    if found:
        return Finding("other processes", "poor", f"{found}; {load}", "wait until they have ended, or stop them")
    return Finding("other processes", "good", f"nothing else runs; {load}")


def quota() -> Finding:
    """Whether a control group takes the processor away after a share of each period."""
    limit = threads.cgroup_limit()
    if limit is None:
        return Finding("quota", "good", "no limit on processor time")
    throttled = next(
        (line.split()[1] for line in (read(CGROUP_STATISTICS) or "").splitlines() if "nr_thr" in line), "?"
    )
    text = f"the control group grants {limit:g} cores' worth of time; it took the processor away {throttled} times"
    return Finding("quota", "poor", text, "give the container whole cores (cpuset) instead of a quota")


def thread_count() -> Finding:
    """How many threads a measurement uses, and whether that is all it may."""
    wanted, usable = threads.wanted(), threads.usable_cores()
    if wanted > usable:
        return Finding(
            "threads", "poor", f"{wanted} threads on {usable} usable cores", f"set LOSSIMPL_THREADS={usable} or less"
        )
    return Finding("threads", "good", f"{wanted} threads on {usable} usable cores")


def siblings() -> Finding:
    """Whether two of our threads would share one core."""
    physical, logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    if physical is None or logical is None:
        return Finding("cores", "unknown", "the system does not report cores and hardware threads apart")
    if threads.wanted() > physical:
        advice = f"set LOSSIMPL_THREADS={physical}: two threads on one core slow each other down"
        return Finding("cores", "poor", f"{logical} hardware threads on {physical} cores", advice)
    return Finding("cores", "good", f"{physical} cores, {logical} hardware threads")


def governor() -> Finding:
    """Whether the frequency follows the load."""
    found = read(CPU / "cpu0" / "cpufreq" / "scaling_governor")
    if found is None:
        return Finding("governor", "unknown", "not reported by the system; in a virtual machine the host decides")
    if found == "performance":
        return Finding("governor", "good", "performance: the frequency does not wait for load")
    return Finding(
        "governor", "poor", f"{found}: the frequency follows the load", "cpupower frequency-set -g performance"
    )


def turbo() -> Finding:
    """Whether the frequency depends on how warm the processor is."""
    intel, amd = read(CPU / "intel_pstate" / "no_turbo"), read(CPU / "cpufreq" / "boost")
    if intel is None and amd is None:
        return Finding("turbo", "unknown", "not reported by the system; in a virtual machine the host decides")
    if intel == "1" or amd == "0":
        return Finding("turbo", "good", "off: the frequency does not depend on temperature")
    advice = "switch it off for comparisons over time; short runs are 15 to 25 percent faster than long ones otherwise"
    return Finding("turbo", "poor", "on: the frequency depends on temperature and on the other cores", advice)


def virtual() -> Finding:
    """Whether this is a guest, whose host may take time away."""
    if not environment.cpu()["virtual"]:
        return Finding("virtual machine", "good", "no hypervisor is seen")
    times = psutil.cpu_times()
    share = getattr(times, "steal", 0.0) / max(sum(times), 1e-9)
    text = f"a guest; since boot the hypervisor took {share:.2%} of the processor time"
    state = "poor" if share > busy.STEAL_ALLOWED else "good"
    return Finding(
        "virtual machine", state, text, "" if state == "good" else "compare only runs side by side (the gate)"
    )


def huge_pages() -> Finding:
    """Whether large tensors get huge pages, which changes the cost of a fresh gradient."""
    found = environment.huge_pages()
    if found == "unknown":
        return Finding("huge pages", "unknown", "not reported by the system")
    return Finding("huge pages", "good", f"{found}: compare only with machines of the same setting")


def time_source() -> Finding:
    """Whether the clock is cheap to read and has a fine resolution."""
    source, step = read(CLOCK_SOURCE) or "unknown", clock.resolution()
    text = f"source {source}, smallest step {step * 1e9:.0f} ns"
    if step > 1e-6:
        return Finding("clock", "poor", text, "boot with clocksource=tsc if the processor has a stable one")
    return Finding("clock", "good", text)


def memory() -> Finding:
    """Whether the largest case fits without swapping."""
    free = psutil.virtual_memory().available
    text = f"{free / 2**30:.1f} GiB available"
    if free < MEMORY_NEEDED:
        return Finding("memory", "poor", text, "the largest cases need 4 GiB: leave them out, or free memory")
    return Finding("memory", "good", text)


def scatter() -> Finding:
    """How far the same work, timed thirty times, scatters: the interquartile range over the median."""
    import torch

    threads.fix()
    data = torch.ones(1 << 18)
    samples = clock.time_calls(lambda: data.mul_(1.0), rule=Rule(max_seconds=0.3, min_samples=30)).samples
    low, middle, high = quantiles(samples, n=4)
    text = f"the same work takes {middle * 1e6:.0f} µs, its interquartile range is {(high - low) / middle:.1%}"
    if (high - low) / middle > SCATTER_ALLOWED:
        return Finding("repeatability", "poor", text, "fix the items above and rerun `lossimpl doctor`")
    return Finding("repeatability", "good", text)
