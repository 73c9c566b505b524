"""Is there memory for a case: asked before its tensors are made, since the system ends who takes too much."""

from __future__ import annotations

import psutil
import torch

# Memory at the peak, in sizes of the input: a fused kernel reads it, torch stores log-softmax beside it, and tensor
# expressions keep several copies, in float32 where the input is half precision.
COPIES = {"native": 1.25, "torch": 2.5}
OTHERS = 12.0


def shortage(elements: int, implementation: str, dtype: str, device: str) -> str | None:
    """Why a case of so many elements has no room here, or None."""
    size = elements * getattr(torch, dtype).itemsize * COPIES.get(implementation, OTHERS)
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if size <= free:
        return None
    return f"it needs about {size / 2**30:.0f} GiB ({size:.0f} bytes) of memory, {free / 2**30:.0f} GiB are free"
