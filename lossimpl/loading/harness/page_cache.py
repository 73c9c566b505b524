"""The page cache: drop what the kernel keeps of a dataset's files, so that a first epoch reads from the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence


def drop(files: Sequence[str]) -> str:
    """Ask the kernel to forget the files (`posix_fadvise`, POSIX_FADV_DONTNEED), and report their state.

    Returns `cold`, or `warm` where there are no files or the kernel kept them.
    """
    if not files:
        return "warm"
    for name in files:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return "cold" if resident_share(files) < 0.5 else "warm"


def resident_share(files: Sequence[str]) -> float:
    """The share of the files' pages that are in memory, by `mincore`; 1.0 where the kernel does not report it."""
    import ctypes
    import mmap

    libc = ctypes.CDLL(None, use_errno=True)
    total = resident = 0
    for name in files:
        size = os.path.getsize(name)
        if size == 0:
            continue
        with (
            open(name, "rb") as file,
            mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as map_,
        ):
            pages = -(-size // mmap.PAGESIZE)
            states = (ctypes.c_ubyte * pages)()
            anchor = ctypes.c_char.from_buffer(map_)
            failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), states)
            del anchor
        total += pages
        resident += pages if failed else sum(state & 1 for state in states)
    return resident / total if total else 1.0
