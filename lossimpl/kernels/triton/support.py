"""What the losses' functions check and decide before they call their operator.

The functions refuse a call by raising Unavailable; `lossimpl.kernels.contract` then runs the loss's check, which raises
torch's type of error where an argument is wrong.
"""

import itertools

import torch
from torch import Tensor

from lossimpl.spec import REDUCTIONS, Unavailable

from .launch import INTERPRETED, compute_dtype

FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
HALF = (torch.bfloat16, torch.float16)


def require(condition: bool, reason: str) -> None:
    """Refuse the call unless the condition holds."""
    if not condition:
        raise Unavailable(reason)


def require_tensors(*tensors: Tensor | None) -> None:
    """The kernels take tensors on one device: they would follow a pointer into another GPU's memory."""
    device = getattr(tensors[0], "device", None)
    for tensor in tensors:
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise Unavailable(f"native takes tensors, got {type(tensor).__name__}")
        if tensor.device != device:
            raise Unavailable(f"native takes tensors on one device, got {device} and {tensor.device}")


def require_floating(*tensors: Tensor) -> None:
    """The kernels take float64, float32, bfloat16 and float16 CUDA tensors outside torch.func.grad."""
    for tensor in tensors:
        if not torch.compiler.is_compiling() and torch._C._functorch.is_gradtrackingtensor(tensor):
            raise Unavailable(
                "native does not compose with torch.func.grad on CUDA: use implementation='torch' or 'vectorized'"
            )
        if tensor.dtype not in FLOATING:
            raise Unavailable(f"native takes float64, float32, bfloat16 or float16 tensors, got {tensor.dtype}")
    device = tensors[0].device
    if device.type != "cuda" and not INTERPRETED:
        raise Unavailable(f"the Triton kernels take CUDA tensors, got a tensor on {device}")


def require_reduction(reduction: str) -> None:
    """One of none, mean, sum."""
    require(reduction in REDUCTIONS, "native takes reduction none, mean or sum")


def require_same_shape(x: Tensor, t: Tensor) -> None:
    """For the losses that do not broadcast."""
    require(x.shape == t.shape, "native takes input and target of one shape")


def broadcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors expanded to one shape."""
    for one, other in itertools.combinations(tensors, 2):
        sizes = zip(reversed(one.shape), reversed(other.shape), strict=False)
        require(all(a == b or a == 1 or b == 1 for a, b in sizes), "native takes shapes that broadcast")
    expanded: tuple[Tensor, ...] = torch.broadcast_tensors(*tensors)  # type: ignore[no-untyped-call]  # torch's is untyped
    return expanded


def expanded_weight(weight: Tensor | None, shape: torch.Size) -> Tensor | None:
    """The weight expanded to the input's shape, which it may not enlarge."""
    if weight is None:
        return None
    sizes = zip(reversed(weight.shape), reversed(shape), strict=False)
    fits = weight.dim() <= len(shape) and all(size == 1 or size == wanted for size, wanted in sizes)
    require(fits, "native takes weights that broadcast to input's shape")
    return weight.expand(shape)


def loss_dtype(*tensors: Tensor) -> torch.dtype:
    """The loss's dtype: the promoted dtype of the tensors; float32 for half precision under autocast, as in torch."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    if dtype in HALF and torch.is_autocast_enabled(tensors[0].device.type):
        return torch.float32
    return dtype


def needs(reduction: str, *tensors: Tensor) -> tuple[bool, ...]:
    """Which gradients the forward pass computes; `operators` explains why none with reduction `none` or in float16."""
    half = any(tensor.dtype == torch.float16 for tensor in tensors)
    if reduction == "none" or half or not torch.is_grad_enabled():
        return (False,) * len(tensors)
    return tuple(tensor.requires_grad for tensor in tensors)


def on_host(tensor: Tensor) -> bool:
    """Whether values may be read: on CUDA that would wait for the device, so there the kernel asserts instead."""
    if torch.compiler.is_compiling() or tensor.device.type != "cpu":
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def floating_pair(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The pair, with integers next to a floating-point tensor converted to the dtype that the kernel computes in."""
    if x.is_floating_point() and _is_integer(t):
        return x, t.to(compute_dtype(x))
    if t.is_floating_point() and _is_integer(x):
        return x.to(compute_dtype(t)), t
    return x, t


def _is_integer(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())
