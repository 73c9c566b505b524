"""What a process does with memory that is freed, which at 64 MiB decides more than the loss does.

By default malloc gives a large block back to the system as soon as it is freed, and the next one is new: each of its
pages costs a fault when it is first written. An allocator that keeps freed memory, as jemalloc does and as malloc can,
pays once.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # the names of malloc.h
NEVER = 2**31 - 1


def keep_freed() -> None:
    """Let malloc keep what is freed, from now on in this process: no block of its own mapping, and no trimming.

    Only glibc has this switch; elsewhere NotImplementedError says so. It cannot be undone.
    """
    if platform.libc_ver()[0] != "glibc":
        raise NotImplementedError("mode 'reuse' needs glibc, whose malloc can keep freed memory")
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, NEVER)
