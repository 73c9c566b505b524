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
FASTER = 0.98  # a time that is lower than this many times the lowest before shows that the best rate was not reached


def measure(device: str = "cpu", working_set: int = LARGEST, seconds: float = 0.02) -> Ceilings:
    """The ceilings of `device` for a case that moves `working_set` bytes; sought once per process and size.

    At least three turns of each probe, and `seconds` more after each turn that found a higher rate: on a shared
    machine, the first turns rarely reach the best.
    """
    search = Search(device, working_set)
    search.go_on(seconds)
    return search.found


class Search:
    """The ceilings of a device for a working set, found turn by turn, so that calls can be timed in between.

    What this process found for a buffer of the same size counts too.
    """

    def __init__(self, device: str, working_set: int) -> None:
        self.device, self.working_set = device, working_set
        self.level = caches.level_of(working_set)
        self.probes = [] if device.startswith("cuda") else [probe(size, threads.fix()) for size in self._sizes()]

    def _sizes(self) -> list[int]:
        size = min(LARGEST, max(MIB, self.working_set // MIB * MIB))
        return [size] if self.level == caches.MEMORY else [size, max(MIB, caches.sizes()["L3"] // 2)]

    def turn(self) -> None:
        """One batch of each kernel on each buffer."""
        for each in self.probes:
            each.turn()

    def go_on(self, seconds: float) -> None:
        """Turns until none has found a higher rate for so long, unless this process has sought as long before."""
        for each in self.probes:
            each.go_on(seconds)

    @property
    def found(self) -> Ceilings:
        """The best rates so far."""
        if not self.probes:
            from lossimpl.measure import cuda  # late, for it needs a GPU's libraries

            return cuda.ceilings(self.working_set)
        copy = max(each.rate(each.copies) for each in self.probes)
        read = max(each.rate(each.reads) for each in self.probes)
        return Ceilings(self.device, copy, max(copy, read), self.level, self.working_set, threads.fix())


@cache
def probe(size: int, thread_count: int) -> Probe:
    """The probe of this size in this process. `thread_count` only keeps the results apart."""
    del thread_count
    return Probe(size)


class Probe:
    """The kernels that move a buffer of `size` bytes, with the seconds that the fastest batch of each took."""

    def __init__(self, size: int) -> None:
        import numpy
        import torch

        self.size = size
        self.longest = 0.0  # seconds for which a higher rate has been sought
        self.number = max(1, ROUGHLY_A_BATCH // size)
        buffer = torch.ones(size // 4)
        half = buffer.numel() // 2
        source, target = buffer[:half], buffer[half : 2 * half]
        alone, onto = source.numpy(), target.numpy()
        first, second, third = buffer[: buffer.numel() // 3 * 3].chunk(3)
        self.copies: dict[Callable[[], object], float] = dict.fromkeys(
            (
                lambda: target.copy_(source),
                lambda: numpy.copyto(onto, alone),
                lambda: torch.add(first, second, out=third),
            ),
            float("inf"),
        )
        self.reads: dict[Callable[[], object], float] = dict.fromkeys(
            (lambda: torch.sum(buffer), lambda: torch.dot(source, target)), float("inf")
        )

    def turn(self) -> bool:
        """One batch of each kernel; whether one of them was clearly faster than ever before."""
        faster = False
        for kernels in (self.copies, self.reads):
            for move, fastest in kernels.items():
                seconds = self._batch(move)
                faster |= seconds < FASTER * fastest
                kernels[move] = min(fastest, seconds)
        return faster

    def _batch(self, move: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(self.number):
            move()
        return (time.perf_counter() - started) / self.number

    def go_on(self, seconds: float) -> None:
        """At least three turns, and more until none has been faster for so long; none if that was done before."""
        if seconds <= self.longest:
            return
        self.longest = seconds
        turns, end = 0, time.perf_counter() + seconds
        while turns < 3 or time.perf_counter() < end:
            if self.turn():
                end = time.perf_counter() + seconds
            turns += 1

    def rate(self, kernels: dict[Callable[[], object], float]) -> float:
        """Bytes per second of the fastest of the kernels."""
        return self.size / min(kernels.values())
