"""What every public function of this package checks and decides before it calls its operator."""

import torch
from torch import Tensor

from lossimpl.spec import REDUCTIONS, Unavailable

from .launch import INTERPRETED, compute_dtype

FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
HALF = (torch.bfloat16, torch.float16)


def require_floating(*tensors: Tensor) -> None:
    """The kernels take float64, float32, bfloat16 and float16 tensors on one device, outside torch.func.grad."""
    device = tensors[0].device
    for tensor in tensors:
        if not torch.compiler.is_compiling() and torch._C._functorch.is_gradtrackingtensor(tensor):
            raise Unavailable("native does not compose with torch.func.grad: torch's own operators have to be taken")
        if tensor.dtype not in FLOATING:
            raise Unavailable(f"native takes float64, float32, bfloat16 or float16 tensors, got {tensor.dtype}")
    require_device(device, *tensors)
    if device.type != "cuda" and not INTERPRETED:
        raise Unavailable(f"the Triton kernels take CUDA tensors, got a tensor on {device}")


def require_device(device: torch.device, *tensors: Tensor | None) -> None:
    """All on one device: a kernel would follow an address of another GPU's memory wherever it leads."""
    for tensor in tensors:
        if tensor is not None and tensor.device != device:
            raise RuntimeError(f"tensors on one device are expected, got {device} and {tensor.device}")


def require_reduction(reduction: str) -> None:
    """One of none, mean, sum."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def loss_dtype(*tensors: Tensor) -> torch.dtype:
    """The loss's type: the promoted type of the tensors; float32 for half types under autocast, as torch has it."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    if dtype in HALF and torch.is_autocast_enabled(tensors[0].device.type):
        return torch.float32
    return dtype


def needs(reduction: str, *tensors: Tensor) -> tuple[bool, ...]:
    """Which gradients the forward shall compute; see `operators` for why never with `none` or in float16."""
    half = any(tensor.dtype == torch.float16 for tensor in tensors)
    if reduction == "none" or half or not torch.is_grad_enabled():
        return (False,) * len(tensors)
    return tuple(tensor.requires_grad for tensor in tensors)


def require_same_shape(x: Tensor, t: Tensor) -> None:
    """Losses that do not broadcast."""
    if x.shape != t.shape:
        raise ValueError(f"target size ({t.shape}) must be the same as input size ({x.shape})")


def on_host(tensor: Tensor) -> bool:
    """Whether values may be looked at: on CUDA that would wait for the device, so there the kernel asserts instead."""
    if torch.compiler.is_compiling() or tensor.device.type != "cpu":
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def floating_pair(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers beside a floating-point tensor, as the type that the kernel computes in."""
    if x.is_floating_point() and _is_whole(t):
        return x, t.to(compute_dtype(x))
    if t.is_floating_point() and _is_whole(x):
        return x.to(compute_dtype(t)), t
    return x, t


def _is_whole(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())
