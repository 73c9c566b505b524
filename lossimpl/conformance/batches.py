"""Compiling many cases at once: one graph that computes one case of each kind, since every compilation costs seconds.

Cases of one kind differ in numbers only, so the same compiled code serves them one after the other. Each case keeps its
own inputs, incoming gradient and verdict; the cases of a batch that fails as a whole are run one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, judged, wanted
from lossimpl.agreement.uses import Backward, leaves
from lossimpl.spec import Function, Loss

Build = Callable[[Function, list[dict[str, Any]]], Function]
SIZE = 24  # kinds of cases; beyond it, compile time grows faster than their number


class Named(Protocol):
    """Anything with the name of a loss."""

    @property
    def loss(self) -> str:
        """The loss's name."""


J = TypeVar("J", bound=Named)


def fits(implementation: str, check: Check) -> bool:
    """Whether a check can share a graph: of `compiled`, one forward and one backward pass, no error expected."""
    return implementation == "compiled" and isinstance(check.use, Backward) and not check.raises


def of(jobs: Iterable[J], kind: Callable[[J], Hashable]) -> list[list[J]]:
    """The jobs in batches, each of one loss and at most `SIZE` kinds."""
    by_loss: dict[str, dict[Hashable, list[J]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        by_loss[job.loss][kind(job)].append(job)
    batches = []
    for kinds in by_loss.values():
        alike = iter(kinds.values())
        while some := list(islice(alike, SIZE)):
            batches.append([job for group in some for job in group])
    return batches


def kind_of(check: Check, dtype: str, device: str) -> Hashable:
    """What compiled code depends on: layout and dtype of the tensors, and the options' values."""
    layouts = tuple((name, _layout(one)) for name, one in check.tensors(dtype, device).items())
    return layouts, repr(sorted(check.options.items()))


def _layout(value: Any) -> Hashable:
    if not isinstance(value, Tensor):
        return repr(value)
    return tuple(value.shape), value.stride(), value.storage_offset(), value.dtype


def grouped(asked: Sequence[tuple[Check, str]], device: str = "cpu") -> list[list[tuple[Check, str]]]:
    """The checks and dtypes, by their kind."""
    kinds: dict[Hashable, list[tuple[Check, str]]] = defaultdict(list)
    for check, dtype in asked:
        kinds[kind_of(check, dtype, device)].append((check, dtype))
    return list(kinds.values())


def run_together(
    loss: Loss, name: str, function: Function, build: Build, asked: Sequence[tuple[Check, str]], device: str = "cpu"
) -> list[Result]:
    """The results of `function`, known as `name`, for these checks and dtypes, from one graph that `build` records.

    `build(together, batch)` gives a function like `together`, which computes a batch of tensor arguments; the batch is
    an example of it.
    """
    kinds = grouped(asked, device)
    options = [group[0][0].options for group in kinds]

    def together(batch: list[dict[str, Any]]) -> list[Tensor]:
        return [function(**one, **others) for one, others in zip(batch, options, strict=True)]

    call = build(together, [leaves_of(loss, group[0][0].tensors(group[0][1], device)) for group in kinds])
    rows: dict[tuple[Check, str], Result] = {}
    for turn in range(max(map(len, kinds))):
        now = [group[min(turn, len(group) - 1)] for group in kinds]
        rows |= dict(zip(now, _rows(loss, name, call, now, device), strict=True))
    return [rows[one] for one in asked]


def _rows(
    loss: Loss, implementation: str, call: Function, asked: Sequence[tuple[Check, str]], device: str
) -> list[Result]:
    """The results of one check of each kind."""
    tensors = [check.tensors(dtype, device) for check, dtype in asked]
    inputs = [leaves_of(loss, one) for one in tensors]
    for (check, _), one in zip(asked, inputs, strict=True):
        loss.check(**one, **check.options)
    values = call(inputs)
    incoming = [use_of(check).incoming(value.detach()) for (check, _), value in zip(asked, values, strict=True)]
    names = [wanted(loss, one) for one in tensors]
    flat = [one[name] for one, wants in zip(inputs, names, strict=True) for name in wants]
    gradients = iter(torch.autograd.grad(values, flat, incoming))
    results = [
        {"value": value.detach()} | {f"gradient of {name}": next(gradients) for name in wants}
        for value, wants in zip(values, names, strict=True)
    ]
    return [
        judged(loss, implementation, lambda _, result=result: result, check, dtype, device)  # type: ignore[misc]  # bound now
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
