"""Where lossimpl differs from torch on purpose: each call is evaluated with torch's functions and with ours.

python tests/conformance/differences.py    writes docs/differences.md
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

import lossimpl

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
HEAD = """# Where lossimpl differs from torch

Written by `python tests/conformance/differences.py`, which evaluates every call with torch {version} and with lossimpl;
a test repeats it with every implementation. In all else that the tests compare, both give the same types and numbers.
"""


class Difference(NamedTuple):
    """A call that gives another result, and the reason."""

    call: str
    why: str


DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "Numbers": (
        Difference(
            "cross_entropy(tensor([[20.0, 0.0, 0.0]]), tensor([0]))",
            "log(1 + S) keeps the digits of a confident prediction that log Σ exp rounds away",
        ),
        Difference(
            "gradient(cross_entropy, tensor([[nan, 0.0], [1.0, 2.0]]), tensor([-100, 0]))",
            "an ignored row adds nothing to the gradient, whatever its logits",
        ),
        Difference(
            "binary_cross_entropy_with_logits(tensor([inf]), tensor([1.0]))",
            "a term whose factor is 0 counts as 0",
        ),
        Difference(
            "triplet_margin_loss(tensor([[1e25, 1e25]]), tensor([[0.0, 0.0]]), tensor([[5e24, 0.0]]))",
            "the norm is scaled by its largest element, so that its square cannot overflow",
        ),
        Difference(
            "triplet_margin_loss(tensor([[1e18, 0.0]]), tensor([[0.0, 0.0]]), tensor([[9e17, 0.0]]), p=3)",
            "so is the norm of any other order",
        ),
        Difference(
            "second_tangent(triplet_margin_loss, tensor([1.0, 2.0]), tensor([0.0, 0.0]), tensor([1.5, 0.5]), p=1.5)",
            "of torch's norm, torch.func.linearize gives only the first tangent right, unless p is 1, 2 or infinite",
        ),
        Difference(
            "mse_loss(tensor([1.0, 1.0, 0.0], dtype=bfloat16), tensor([0.0, 1e-3, 0.0], dtype=bfloat16))",
            "half precision is computed in float32 and rounded once",
        ),
    ),
    "Types": (
        Difference(
            "triplet_margin_loss(tensor([[3]], dtype=uint8), tensor([[5]], dtype=uint8), tensor([[9]], dtype=uint8))",
            "integers become floating point before they are subtracted, so that they do not wrap around",
        ),
        Difference(
            "binary_cross_entropy_with_logits(tensor([0.5]), tensor([1.0], dtype=bfloat16))",
            "types promote; torch rounds to the target's type unless it compiles",
        ),
        Difference(
            "gradient(huber_loss, tensor([0.5]), tensor([1.0], dtype=float64))",
            "other types of input and target are served in backward too",
        ),
    ),
    "Refused by name": (
        Difference(
            "cross_entropy(tensor([[1.0, 2.0]]), tensor([0]), label_smoothing=-0.1)",
            "the documented range is [0, 1]",
        ),
        Difference(
            "mse_loss(tensor([1.0]), tensor([0.0]), 'sum')",
            "the third argument is size_average, as in torch, where any word there means `mean`",
        ),
        Difference(
            "cross_entropy(tensor([[1.0, 2.0]]), tensor([0]), reduction='elementwise_mean')",
            "torch has renamed it to `mean`",
        ),
        Difference(
            "l1_loss(tensor([1.0, 0.0]).to_sparse(), tensor([0.0, 0.0]).to_sparse(), reduction='sum')",
            "tensors must be dense",
        ),
        Difference(
            "scripted(mse_loss, tensor([1.0]), tensor([0.0]))",
            "torch.jit.script compiles no function with options that are given by name alone: use torch.jit.trace",
        ),
        Difference(
            "gradient(changed_in_place, tensor([[1.0, 2.0]]), tensor([0]))",
            "with reduction `none` backward reads the logits, so that none are copied: do not change them before",
        ),
    ),
}


def gradient(loss: Callable[..., torch.Tensor], x: torch.Tensor, *arguments: Any) -> torch.Tensor:
    """The gradient of the sum of a loss by its first argument."""
    leaf = x.requires_grad_()
    return torch.autograd.grad(loss(leaf, *arguments).sum(), leaf)[0]


def changed_in_place(cross_entropy: Any, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of logits that are overwritten before backward."""
    logits = x * 1
    loss: torch.Tensor = cross_entropy(logits, target, reduction="none")
    logits.zero_()
    return loss


def second_tangent(loss: Callable[..., torch.Tensor], x: torch.Tensor, *others: torch.Tensor, **options: Any) -> Any:
    """The slope along the second coordinate, pushed after that along the first."""
    _, pushed = torch.func.linearize(lambda one: loss(one, *others, **options), x)
    pushed(torch.tensor([1.0, 0.0]))
    return pushed(torch.tensor([0.0, 1.0]))


def scripted(loss: Any, *arguments: torch.Tensor) -> torch.Tensor:
    """The result of the function that torch.jit.script compiles."""
    compiled: Callable[..., torch.Tensor] = torch.jit.script(getattr(loss, "func", loss))
    return compiled(*arguments)


def evaluated(call: str, functions: dict[str, Any]) -> str:
    """The result of a call with these functions, or its error, in one line."""
    names = {name: getattr(torch, name) for name in ("tensor", "nan", "inf", "uint8", "bfloat16", "float64")}
    names |= {
        "gradient": gradient,
        "second_tangent": second_tangent,
        "scripted": scripted,
        "changed_in_place": partial(changed_in_place, functions["cross_entropy"]),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated arguments
            return shown(eval(call, {}, names | functions))  # the calls above
    except Exception as error:  # an error is a result like any other
        return f"{type(error).__name__}: {sentence(str(error))}"


def shown(tensor: torch.Tensor) -> str:
    """The numbers to four digits, and the dtype unless it is float32."""
    numbers = [f"{one:.4g}" for one in tensor.detach().flatten().tolist()]
    dtype = "" if tensor.dtype == torch.float32 else f" {str(tensor.dtype).removeprefix('torch.')}"
    return (numbers[0] if tensor.dim() == 0 else f"[{', '.join(numbers)}]") + dtype


def sentence(message: str) -> str:
    """The beginning of a message, in one line of at most 90 characters."""
    line = re.sub(r"\\s+", " ", message.splitlines()[0])
    return line if len(line) <= 90 else line[:87] + "..."


def torchs(call: str) -> str:
    """The result with torch's functions."""
    return evaluated(call, {name: getattr(F, name) for name in lossimpl.LOSSES if hasattr(F, name)})


def ours(call: str, implementation: str = "auto") -> str:
    """The result with our functions."""
    names = {name: partial(getattr(lossimpl, name), implementation=implementation) for name in lossimpl.LOSSES}
    return evaluated(call, names)


def page() -> str:
    """The text of docs/differences.md."""
    parts = [HEAD.format(version=torch.__version__.partition("+")[0])]
    for title, differences in DIFFERENCES.items():
        rows = [f"| `{one.call}` | {torchs(one.call)} | {ours(one.call)} | {one.why} |" for one in differences]
        parts.append("\n".join([f"## {title}\n", "| call | torch | lossimpl | why |", "|---|---|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} written\n")
