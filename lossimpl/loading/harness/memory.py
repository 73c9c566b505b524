"""Memory, descriptors and processor time of a process and all below it.

PSS counts a page that n processes share as 1/n in each, so the sum over the tree counts every page once; the sum of
RSS counts it n times (pytorch/pytorch#13246).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from lossimpl.loading.harness.processes import descendants


def pss(pid: int) -> int:
    """The proportional set size of one process in bytes; 0 where it has ended or the kernel does not report it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def tree() -> dict[str, int]:
    """PSS over this process, all below it, and the zygote that shares its pages, in bytes; how many processes there are
    without the zygote, and the most descriptors that one of them has open."""
    own = {os.getpid(), *descendants(os.getpid())}
    total = sum(map(pss, {*own, os.getppid()}))
    return {"pss_bytes": total, "processes": len(own), "descriptors": max(map(descriptors, own))}


def descriptors(pid: int) -> int:
    """How many descriptors a process has open; 0 where it has ended, or none is left to look with."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def processor_seconds() -> float:
    """Processor seconds spent so far by this process and all below it, living or reaped."""
    total = 0.0
    for pid in (os.getpid(), *descendants(os.getpid())):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
