"""How fast can this machine copy and read, for a working set of this size, with these threads, in this process?

The copy puts half of a buffer onto the other half, and so moves as many bytes as the buffer holds, read and written
together: the better of torch's, with all threads, and of a single thread's, which does not wait for others where the
machine is busy. An addition of two thirds into the last reads twice what it writes, as a step does, and counts with the
copies. The read is the best of a sum, a dot product and the copy, since a rate of copying is a rate of reading too. A
smaller working set is at least as fast as a larger one, so a cached one is compared with the best rate of any cached
buffer: this takes out the cost of the call, which is not bandwidth. Buffers are written before they are read, so no
page fault is timed, and the fastest repetition counts: a ceiling is what the machine can do, not what it does on
average.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from lossimpl.measure import caches, threads
from lossimpl.measure.types import Ceilings

MIB = 1 << 20
LARGEST = 256 * MIB  # beyond any cache of one socket, and made in a tenth of a second
ROUGHLY_A_BATCH = 4 * MIB  # bytes to move between two readings of the clock


def measure(device: str = "cpu", working_set: int = LARGEST, seconds: float = 0.02) -> Ceilings:
    """The ceilings of `device` for a case that moves `working_set` bytes; measured once per process and size.

    `seconds` is what each kernel of a probe may take.
    """
    if device.startswith("cuda"):
        from lossimpl.measure import cuda  # late, for it needs a GPU's libraries

        return cuda.ceilings(working_set)
    level = caches.level_of(working_set)
    probes = [min(LARGEST, max(MIB, working_set // MIB * MIB))]
    if level != caches.MEMORY:
        probes.append(max(MIB, caches.sizes()["L3"] // 2))
    rates = [probe(size, threads.fix(), seconds) for size in probes]
    copy, read = (max(each) for each in zip(*rates, strict=True))
    return Ceilings(device, copy, read, level, working_set, threads.fix())


@cache
def probe(size: int, thread_count: int, seconds: float) -> tuple[float, float]:
    """(copy, read) in bytes per second over a buffer of `size` bytes. `thread_count` only keeps the results apart."""
    del thread_count
    import numpy
    import torch

    buffer = torch.ones(size // 4)
    half = buffer.numel() // 2
    source, target = buffer[:half], buffer[half : 2 * half]
    alone, onto = source.numpy(), target.numpy()
    first, second, third = buffer[: buffer.numel() // 3 * 3].chunk(3)
    copies = (
        lambda: target.copy_(source),
        lambda: numpy.copyto(onto, alone),
        lambda: torch.add(first, second, out=third),
    )
    reads = (lambda: torch.sum(buffer), lambda: torch.dot(source, target))
    copy = max(best_rate(move, size, seconds) for move in copies)
    return copy, max(copy, *(best_rate(move, size, seconds) for move in reads))


def best_rate(move: Callable[[], object], size: int, seconds: float) -> float:
    """Bytes per second of the fastest batch of `move()`, which moves `size` bytes.

    At least three batches, and `seconds` more after each one that was faster by 2 percent: on a shared machine,
    the first batches rarely reach its best rate.
    """
    number = max(1, ROUGHLY_A_BATCH // size)
    fastest, batches = float("inf"), 0
    move()
    end = time.perf_counter() + seconds
    while batches < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(number):
            move()
        now = time.perf_counter()
        if (now - started) / number < 0.98 * fastest:
            end = now + seconds
        fastest, batches = min(fastest, (now - started) / number), batches + 1
    return size / fastest
