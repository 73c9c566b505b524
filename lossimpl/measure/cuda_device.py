"""What the GPU clock needs of a device: events, an empty cache, something to do while the host prepares, graphs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

Call = Callable[[], object]

FLUSH_TIMES_L2 = 2  # reading twice the cache's size leaves nothing of what was in it, whatever its replacement policy
SLEEP_CLOCK_HZ = (
    2e9  # above any clock of today's boards, so that a sleep in cycles lasts at least the seconds asked for
)


class Device(Protocol):
    """A queue of work with a clock of its own. `TorchDevice` is the real one; tests bring another."""

    def mark(self) -> Any:
        """Put an event into the queue."""

    def seconds(self, start: Any, end: Any) -> float:
        """Wait for the second of two events and return the device seconds between them."""

    def synchronize(self) -> None:
        """Wait until the queue is empty."""

    def flush(self) -> None:
        """Put something into the queue that leaves none of our data in the cache."""

    def occupy(self, seconds: float) -> None:
        """Put something into the queue that keeps the device busy for at least so long."""

    def capture(self, call: Call) -> Call:
        """Record the call's work as a graph and return its replay."""


class TorchDevice:
    """The current CUDA device and torch's current stream."""

    def __init__(self) -> None:
        import torch

        self.cuda = torch.cuda
        l2_bytes = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
        self.buffer = torch.zeros(FLUSH_TIMES_L2 * l2_bytes // 4, device="cuda")
        self.total = torch.zeros((), device="cuda")
        self.torch = torch
        self.driver = nvidia_driver()

    def mark(self) -> Any:
        """A timing event on the current stream."""
        event = self.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own gap
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        """CUDA counts events in steps of about half a microsecond."""
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e-3

    def synchronize(self) -> None:
        """Wait for every stream."""
        self.cuda.synchronize()

    def flush(self) -> None:
        """Read a buffer larger than the L2 cache. Written, it would be written back while the clock runs.

        Compilers mark what a kernel reads twice to be evicted last, and what it reads no more then outlives reads that
        are not marked: the driver takes the marks off. That is done at once, and the queue is empty here: `seconds` has
        waited for the sample before.
        """
        if self.driver is not None:
            self.driver.cuCtxResetPersistingL2Cache()  # refused by devices that have no such marks
        self.torch.sum(self.buffer, dim=0, out=self.total)

    def occupy(self, seconds: float) -> None:
        """Spin, so that the host is ahead of the device when the clock starts."""
        self.cuda._sleep(int(seconds * SLEEP_CLOCK_HZ))  # type: ignore[no-untyped-call]  # torch's own gap

    def capture(self, call: Call) -> Call:
        """A CUDA graph of one call, warmed up on a side stream as capture demands."""
        side = self.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own gap
        side.wait_stream(self.cuda.current_stream())
        with self.cuda.stream(side):
            for _ in range(3):
                call()
        self.cuda.current_stream().wait_stream(side)
        graph = self.cuda.CUDAGraph()
        with self.cuda.graph(graph):
            call()
        replay: Call = graph.replay
        return replay


def nvidia_driver() -> ctypes.CDLL | None:
    """The driver's own functions, for one that torch does not pass on; None where the library has another name."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
