"""The checks that every loss gets from one small base input: reductions, strides, incoming gradients, repeated use.

A base holds the tensor arguments as nested lists; each check below varies one aspect of it. The expected numbers are
those of the float64 oracle on the same quantised inputs, unless a check states its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lossimpl.agreement import uses
from lossimpl.agreement.check import ALL_DTYPES, INF, NAN, Builder, Check, literal

__all__ = ["ALL_DTYPES", "INF", "NAN", "Check", "every_loss"]

Base = Mapping[str, Any]

INCOMING: dict[str, tuple[uses.Incoming, str]] = {
    "expanded scalar": (uses.expanded_scalar, "ROCm/TransformerEngine#623"),
    "per element, with zero and negative values": (uses.per_element, "chainer/chainer#1178"),
    "strided": (uses.strided, "ROCm/TransformerEngine#623"),
    "2.5": (uses.scaled, "chainer/chainer#1178"),
    "zero": (torch.zeros_like, "chain rule"),
}
USES = {
    "value without gradients": (uses.without_grad, "linkedin/Liger-Kernel#507"),
    "second backward of one graph": (uses.backward_twice, "torch.autograd: retain_graph"),
    "inputs used again, and unchanged": (uses.inputs_again, "linkedin/Liger-Kernel#272, unslothai/unsloth#5002"),
    "torch.func.grad": (uses.functional_grad, "torch.func"),
    "torch.vmap": (uses.vmapped, "torch.func"),
    "with deterministic algorithms required": (uses.deterministic, "pytorch/pytorch#46024"),
}


def every_loss(base: Base, rows: tuple[str, ...], **options: Any) -> tuple[Check, ...]:
    """The common checks of a loss with this base and these options; `rows` names the tensors with a batch dimension."""
    groups = (_reductions, _strides, _incoming, _uses, _invalid)
    checks = [check for group in groups for check in group(base, options)]
    return (*checks, *_empty(_without_rows(base, rows), options))


def _reductions(base: Base, options: Mapping[str, Any]) -> list[Check]:
    return [
        Check(f"reduction {one}", "definition", base, {**options, "reduction": one}, dtypes=ALL_DTYPES)
        for one in ("none", "mean", "sum")
    ]


def _strides(base: Base, options: Mapping[str, Any]) -> list[Check]:
    source = "NVIDIA/TransformerEngine#2734, unslothai/unsloth#10713"
    return [
        Check(f"{name} memory", source, _arranged(base, arrange), options, dtypes=("float32", "bfloat16"))
        for name, arrange in ARRANGEMENTS.items()
    ] + [Check("broadcast in memory (strides of zero)", source, _first_row(base), options)]


def _incoming(base: Base, options: Mapping[str, Any]) -> list[Check]:
    return [
        Check(
            f"incoming gradient {name}, reduction {reduction}",
            source,
            base,
            {**options, "reduction": reduction},
            use=uses.Backward(incoming),
            dtypes=("float32", "bfloat16"),
        )
        for name, (incoming, source) in INCOMING.items()
        for reduction in ("none", "mean")
    ]


def _uses(base: Base, options: Mapping[str, Any]) -> list[Check]:
    plain = [Check(name, source, base, options, use=use) for name, (use, source) in USES.items()]
    per_element = {**options, "reduction": "none"}
    return [
        *plain,
        Check("second derivative", "closed form", base, options, use=uses.second_derivative, dtypes=("float64",)),
        Check("second derivative, reduction none", "closed form", base, per_element, use=uses.second_derivative),
        Check(
            "autocast computes in float32",
            "torch.amp: operations that autocast to float32",
            base,
            options,
            use=uses.under_autocast,
            dtypes=("float32", "bfloat16"),
            result="float32",
        ),
    ]


def _invalid(base: Base, options: Mapping[str, Any]) -> list[Check]:
    wrong = [("avg", ("avg", "none", "mean", "sum")), (None, ("reduction", "none")), ("MEAN", ("MEAN", "mean"))]
    checks = [
        Check(
            f"reduction {name!r} is an error",
            "torch.nn.functional: ValueError",
            base,
            {**options, "reduction": name},
            raises=(ValueError,),
            says=says,
        )
        for name, says in wrong
    ]
    return checks + [
        Check(
            f"{name} that is not a tensor is an error",
            "torch.nn.functional: TypeError or AttributeError",
            {**base, name: "a string"},
            options,
            raises=(TypeError, AttributeError),
            says=(name, "Tensor"),
        )
        for name in base
    ]


def _empty(base: Builder, options: Mapping[str, Any]) -> list[Check]:
    source = "torch.nn.functional: the mean of an empty batch is NaN; pytorch/pytorch#75181"
    expected = {"none": {}, "mean": {"value": NAN}, "sum": {"value": 0.0}}
    return [
        Check(f"no rows, reduction {one}", source, base, {**options, "reduction": one}, numbers, dtypes=ALL_DTYPES)
        for one, numbers in expected.items()
    ]


def transposed(tensor: Tensor) -> Tensor:
    """The same numbers with the first dimension innermost in memory."""
    return tensor.movedim(0, -1).contiguous().movedim(-1, 0)


def sliced(tensor: Tensor) -> Tensor:
    """The same numbers in every other element of a larger buffer, with NaN (or an invalid class) in between."""
    filler = NAN if tensor.is_floating_point() else 10**9
    wide = torch.full((*tensor.shape, 2), filler, dtype=tensor.dtype, device=tensor.device)
    wide[..., 0] = tensor
    return wide[..., 0]


def offset(tensor: Tensor) -> Tensor:
    """The same numbers at an offset of one element in a buffer, so that no vector load is aligned."""
    buffer = torch.empty(tensor.numel() + 1, dtype=tensor.dtype, device=tensor.device)
    return buffer[1:].view(tensor.shape).copy_(tensor)


def cut_rows(tensor: Tensor) -> Tensor:
    """The same numbers as the left part of wider rows."""
    if not tensor.dim():
        return tensor
    wide = tensor.new_zeros((*tensor.shape[:-1], tensor.shape[-1] + 3))
    wide[..., : tensor.shape[-1]] = tensor
    return wide[..., : tensor.shape[-1]]


ARRANGEMENTS = {"transposed": transposed, "sliced": sliced, "unaligned": offset, "cut from wider": cut_rows}


def _arranged(base: Base, arrange: Callable[[Tensor], Tensor]) -> Builder:
    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        tensors = {name: literal(one, dtype, device) for name, one in base.items()}
        return {name: arrange(one) if one.dim() else one for name, one in tensors.items()}

    return build


def _first_row(base: Base) -> Builder:
    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        tensors = {name: literal(one, dtype, device) for name, one in base.items()}
        return {name: one[:1].expand(one.shape) for name, one in tensors.items()}

    return build


def _without_rows(base: Base, rows: tuple[str, ...]) -> Builder:
    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        tensors = {name: literal(one, dtype, device) for name, one in base.items()}
        return {name: one[:0] if name in rows else one for name, one in tensors.items()}

    return build
