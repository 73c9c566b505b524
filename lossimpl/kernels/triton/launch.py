"""How a kernel is launched: on the tensors' device and torch's current stream, or in Triton's interpreter."""

import functools
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lossimpl.spec import Unavailable

from . import tuning

MAX_PROGRAMS = 2**31 - 1  # CUDA's limit for the first dimension of a grid

# Whether the kernels of this process run in Triton's interpreter; Triton decides it on import.
INTERPRETED = bool(triton.knobs.runtime.interpret)

# Options of a launch whose kernel asserts that its inputs are valid, as torch's CUDA kernels do; without the overflow
# checks of all integer operations that `debug` alone would add.
CHECKED = {"debug": True, "sanitize_overflow": False}


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """The number of multiprocessors, queried once per device; 2 in the interpreter."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def programs_for(tensor: Tensor, blocks: int) -> int:
    """The size of a grid whose programs stride over `blocks` blocks."""
    return max(min(blocks, multiprocessors(tensor.device) * tuning.PROGRAMS_PER_MULTIPROCESSOR), 1)


def launch(kernel: Any, device: torch.device, programs: int, *arguments: Any, **options: Any) -> None:
    """Launch `programs` programs of a kernel. Upper-case options are the kernel's constants, others the compiler's."""
    if programs > MAX_PROGRAMS:
        raise Unavailable(f"native launches at most {MAX_PROGRAMS} programs of a kernel, these rows need {programs}")
    if INTERPRETED:
        constants = {name: value for name, value in options.items() if name.isupper()}
        kernel[(programs, 1, 1)](*arguments, **constants)
    elif device.index == torch.cuda.current_device():
        kernel[(programs, 1, 1)](*arguments, **options)
    else:
        with torch.cuda.device(device):
            kernel[(programs, 1, 1)](*arguments, **options)


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype in which a kernel computes: float64 if any operand has it, else float32."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def compute_type(*tensors: Tensor) -> Any:
    """The same as a Triton type."""
    return tl.float64 if compute_dtype(*tensors) == torch.float64 else tl.float32
