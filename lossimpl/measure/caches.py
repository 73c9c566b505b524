"""How much the caches of the usable cores hold, from what the kernel says about them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

CORES = Path("/sys/devices/system/cpu")
UNKNOWN = {2: 1 << 20, 3: 32 << 20}  # bytes for one core and for all, where the kernel does not report them
MEMORY = "memory"


def parse_size(text: str) -> int:
    """Bytes from the kernel's way to write a size.

    >>> parse_size("1024K")
    1048576
    """
    return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[text[-1]] if text[-1:] in "KMG" else int(text)


def caches_of(core: int) -> dict[tuple[int, str], int]:
    """(level, cores that share it) -> bytes, for the data caches of one core."""
    found = {}
    for index in sorted((CORES / f"cpu{core}" / "cache").glob("index*")):
        try:
            kind, level, shared, size = (
                (index / name).read_text().strip() for name in ("type", "level", "shared_cpu_list", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found[int(level), shared] = parse_size(size)
    return found


@cache
def sizes() -> dict[str, int]:
    """Bytes that the L2 and the L3 caches of the usable cores hold together, each cache counted once.

    A level that the machine does not have holds what the level before it holds.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    found: dict[tuple[int, str], int] = {}
    for core in cores:
        found |= caches_of(core)
    if not found:
        return {"L2": UNKNOWN[2] * len(cores), "L3": UNKNOWN[3]}
    second = sum(size for (level, _), size in found.items() if level == 2)
    return {"L2": second, "L3": max(second, sum(size for (level, _), size in found.items() if level == 3))}


def level_of(working_set: int) -> str:
    """The smallest level that holds `working_set` bytes: `L2`, `L3` or `memory`."""
    return next((level for level, size in sizes().items() if working_set <= size), MEMORY)
