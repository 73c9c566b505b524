"""How a kernel is started: on the tensors' device and torch's current stream, or by Triton's interpreter."""

import functools
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lossimpl.spec import Unavailable

from . import tuning

MOST_PROGRAMS = 2**31 - 1  # CUDA's limit of a grid's first dimension

# Whether the kernels of this process run in Triton's interpreter; Triton fixes it when it is imported.
INTERPRETED = bool(triton.knobs.runtime.interpret)

# Options of a launch whose kernel asserts on its inputs, as torch's CUDA kernels do; without the check of every integer
# operation for overflow that `debug` alone would add.
CHECKED = {"debug": True, "sanitize_overflow": False}


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """The number of multiprocessors, asked of the driver once; 2 stands in under the interpreter."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def programs_for(tensor: Tensor, blocks: int) -> int:
    """The size of a grid that strides over `blocks` blocks."""
    return max(min(blocks, multiprocessors(tensor.device) * tuning.PROGRAMS_PER_MULTIPROCESSOR), 1)


def launch(kernel: Any, device: torch.device, programs: int, *arguments: Any, **options: Any) -> None:
    """Start `programs` programs of a kernel. Capital options are the kernel's constants, the others the compiler's."""
    if programs > MOST_PROGRAMS:
        raise Unavailable(f"native starts up to {MOST_PROGRAMS} programs of a kernel, these rows need {programs}")
    if INTERPRETED:
        constants = {name: value for name, value in options.items() if name.isupper()}
        kernel[(programs, 1, 1)](*arguments, **constants)
    elif device.index == torch.cuda.current_device():
        kernel[(programs, 1, 1)](*arguments, **options)
    else:
        with torch.cuda.device(device):
            kernel[(programs, 1, 1)](*arguments, **options)


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """What a kernel computes in: float64 where any operand is, else float32."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def compute_type(*tensors: Tensor) -> Any:
    """The same, as Triton's type."""
    return tl.float64 if compute_dtype(*tensors) == torch.float64 else tl.float32
