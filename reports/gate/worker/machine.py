"""What the machine did while a worker ran, and its clock speed."""

import os
import time
from typing import Any


def state() -> dict[str, Any]:
    """Processor times of the machine and of this process, and the time of a fixed loop, which shows the clock."""
    with open("/proc/stat") as file:
        ticks = [int(one) for one in file.readline().split()[1:9]]
    own = os.times()
    return {"ticks": ticks, "own": own.user + own.system, "loop": loop_seconds()}


def loop_seconds() -> float:
    """Seconds of a loop without memory access; the best of three, since interruptions only add."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(50_000):
            pass
        best = min(best, time.perf_counter() - started)
    return best


def since(before: dict[str, Any]) -> dict[str, float]:
    """Shares of processor time that other processes and the hypervisor took since `before`, and the slower loop."""
    after = state()
    user, nice, system, idle, iowait, irq, softirq, steal = (
        (new - old) / os.sysconf("SC_CLK_TCK") for new, old in zip(after["ticks"], before["ticks"], strict=True)
    )
    spent = user + nice + system + irq + softirq
    capacity = max(spent + idle + iowait + steal, 1e-9)
    others = max(0.0, spent - (after["own"] - before["own"]))
    return {"others": others / capacity, "steal": steal / capacity, "loop": max(before["loop"], after["loop"])}
