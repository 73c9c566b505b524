"""How many bytes does a call take at its peak, and how many does it save for backward?

Both count bytes that go through torch's allocator. On the CPU, torch's profiler reports every allocation and every
release in order, those of compiled and of C++ operators too; what a library allocates by itself (a workspace inside
oneDNN, a `std::vector`) is not seen. On CUDA the caching allocator keeps the peak itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

Call = Callable[[], object]

# Memory at the peak, in multiples of the input's size: a fused kernel reads it, torch stores log-softmax beside it, and
# tensor expressions keep several copies, in float32 where the input is half precision.
COPIES = {"native": 1.25, "torch": 2.5}
OTHER_COPIES = 12.0


def peak_and_saved(call: Call, device: str = "cpu", inputs: Iterable[torch.Tensor] = ()) -> tuple[int, int]:
    """(bytes at the peak above what was live before, bytes kept for backward that are not `inputs`)."""
    return peak(call, device), saved(call, inputs)


def peak(call: Call, device: str = "cpu") -> int:
    """The most bytes that were live at once during `call()`, above what was live before it."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    return max(0, *accumulate(allocations(call)), 0)


def allocations(call: Call) -> list[int]:
    """The allocations (positive) and releases (negative) of `call()` on the CPU, in bytes and in order."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler writes two lines to stderr for each use otherwise
    from torch.autograd.profiler import profile

    with profile(profile_memory=True) as profiler:
        call()
    assert profiler.kineto_results is not None
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def saved(call: Call, inputs: Iterable[torch.Tensor] = ()) -> int:
    """The bytes of the distinct storages that `call()` saves for backward and that none of `inputs` uses.

    A tensor that an implementation hides from autograd (an attribute of its context) is not counted here.
    """
    import torch

    known = {tensor.untyped_storage().data_ptr() for tensor in inputs}
    found: dict[int, torch.UntypedStorage] = {}  # holds the storages, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(storage.nbytes() for storage in found.values())


def shortage(elements: int, implementation: str, dtype: str, device: str) -> str | None:
    """Why there is not enough memory for a case of so many elements, or None.

    Asked before its tensors are made, since the system kills a process that takes too much.
    """
    import torch

    size = elements * getattr(torch, dtype).itemsize * COPIES.get(implementation, OTHER_COPIES)
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if size <= free:
        return None
    return f"it needs about {size / 2**30:.0f} GiB ({size:.0f} bytes) of memory, {free / 2**30:.0f} GiB are free"
