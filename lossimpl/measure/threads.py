"""The number of threads that a measurement uses: fixed before it, recorded with it."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cgroup_limit() -> float | None:
    """How many cores' worth of time the control group grants, or None where it sets no limit."""
    try:
        granted, period = CGROUP_LIMIT.read_text().split()
    except (OSError, ValueError):
        return None
    return None if granted == "max" else int(granted) / int(period)


def usable_cores() -> int:
    """The cores that this process may run on, less what the control group withholds; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup_limit()
    return allowed if limit is None else max(1, min(allowed, int(limit)))


def wanted() -> int:
    """The thread count of every measurement: `LOSSIMPL_THREADS`, or all usable cores.

    Raises ValueError if the variable is not a positive whole number.
    """
    text = os.environ.get("LOSSIMPL_THREADS", "")
    if not text:
        return usable_cores()
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"LOSSIMPL_THREADS: expected a whole number from 1, got {text!r}")
    return int(text)


def fix() -> int:
    """Set torch's thread count to `wanted()` and return it."""
    import torch

    if torch.get_num_threads() != wanted():
        torch.set_num_threads(wanted())
    return torch.get_num_threads()
