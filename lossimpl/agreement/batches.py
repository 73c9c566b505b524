"""Compiling many cases at once: one graph with one loss for each case, since every compilation costs seconds.

Each case keeps its own inputs, options, incoming gradient and verdict; a batch that fails as a whole is taken apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from lossimpl.agreement.check import Check
from lossimpl.agreement.conformance import Row, judged, wanted
from lossimpl.agreement.uses import Backward, leaves
from lossimpl.compiled import compiled
from lossimpl.spec import Loss

SIZE = 24  # cases: beyond it compiling grows faster than their number


class Named(Protocol):
    """What has a loss."""

    @property
    def loss(self) -> str:
        """The loss's name."""


J = TypeVar("J", bound=Named)


def fits(implementation: str, check: Check) -> bool:
    """Whether a check can share a graph: of `compiled`, one forward and one backward pass, no error expected."""
    return implementation == "compiled" and isinstance(check.use, Backward) and not check.raises


def of(jobs: Iterable[J]) -> list[list[J]]:
    """The jobs in batches of one loss each."""
    by_loss: dict[str, list[J]] = defaultdict(list)
    for job in jobs:
        by_loss[job.loss].append(job)
    return [some[start : start + SIZE] for some in by_loss.values() for start in range(0, len(some), SIZE)]


def run_together(loss: Loss, asked: Sequence[tuple[Check, str]], device: str) -> list[Row]:
    """The rows of `compiled` for these checks and dtypes, from one compiled graph."""
    tensors = [check.tensors(dtype, device) for check, dtype in asked]
    inputs = [leaves_of(loss, one) for one in tensors]
    for (check, _), one in zip(asked, inputs, strict=True):
        loss.check(**one, **check.options)
    function = loss.implementations["vectorized"].load(device)
    options = [check.options for check, _ in asked]

    def together(batch: list[dict[str, Any]]) -> list[Tensor]:
        return [function(**one, **others) for one, others in zip(batch, options, strict=True)]

    values = compiled(together)(inputs)
    incoming = [use_of(check).incoming(value.detach()) for (check, _), value in zip(asked, values, strict=True)]
    names = [wanted(loss, one) for one in tensors]
    flat = [one[name] for one, wants in zip(inputs, names, strict=True) for name in wants]
    gradients = iter(torch.autograd.grad(values, flat, incoming))
    results = [
        {"value": value.detach()} | {f"gradient of {name}": next(gradients) for name in wants}
        for value, wants in zip(values, names, strict=True)
    ]
    return [
        judged(loss, "compiled", lambda _, result=result: result, check, dtype, device)  # type: ignore[misc]  # bound now
        for (check, dtype), result in zip(asked, results, strict=True)
    ]


def leaves_of(loss: Loss, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a training step has them."""
    return leaves(tensors, wanted(loss, tensors))


def use_of(check: Check) -> Backward:
    """The check's use, known to be one forward and one backward pass."""
    if not isinstance(check.use, Backward):
        raise TypeError(f"{check.name} does more than one forward and one backward pass")
    return check.use
