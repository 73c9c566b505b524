"""Seeded inputs of a case: the same numbers on every machine and device; or tensors that the user gave."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossimpl.registry import get
from lossimpl.spec import Case

RANDOM = "random"  # the value of an option that is one positive random weight per class (or per element)
GIVEN = "given"  # the maker of the user's own tensors, and the value of an option that is one of them


def make(case: Case) -> dict[str, Any]:
    """Name -> tensor for the loss's tensors, then its options.

    The seed follows from the case's loss, shape, maker and seed: other modes, precisions, devices and options see the
    same draw. An option with the value "random" becomes one positive random weight per class (or per element).

    >>> from lossimpl.spec import Case
    >>> make(Case("mse_loss", (2, 3)))["input"].shape
    torch.Size([2, 3])
    """
    loss = get(case.loss)
    if case.maker not in loss.makers:
        raise ValueError(f"unknown maker {case.maker!r} of {case.loss}: it must be one of {', '.join(loss.makers)}")
    dtype = getattr(torch, case.dtype)
    generator = torch.Generator().manual_seed(seed_of(case))
    maker = loss.makers[case.maker]
    tensors = maker(case.shape, dtype, case.device, generator)
    options = dict(case.options)
    for name, value in options.items():
        if value == RANDOM:
            weights = torch.rand(loss.shapes.weight(case.shape), generator=generator) + 0.5
            options[name] = weights.to(case.device, dtype)
        elif value == GIVEN and isinstance(maker, Given):
            options[name] = maker.option(name, case.shape).to(case.device)
    return dict(zip(loss.tensors, tensors, strict=True)) | options


def seed_of(case: Case) -> int:
    """The seed of the case's inputs."""
    return zlib.crc32(f"{case.loss}-{case.shape_text}-{case.maker}-{case.seed}".encode())


class Given:
    """The maker of the user's own tensors: the tensors themselves, fewer of their rows for a smaller shape.

    For another seed than 0, which checks ask for, the rows are drawn from the tensors, with repetition.
    """

    def __init__(self, loss: str, tensors: Mapping[str, Tensor]) -> None:
        self.loss = get(loss)
        self.tensors = {name: one.detach().cpu() for name, one in tensors.items()}
        self.shape = tuple(self.tensors[self.loss.tensors[0]].shape)

    def __call__(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: str, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """The tensors of the loss, in the order of its arguments; they have their own dtypes."""
        del dtype
        own = generator.initial_seed() == seed_of(Case(self.loss.name, shape, maker=GIVEN))
        rows = torch.randint(self.shape[0], shape[:1], generator=generator) if self.shape and not own else None
        found = [self._rows(self.tensors[name], shape, rows) for name in self.loss.tensors]
        return tuple(one.clone().to(device) for one in found)

    def option(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor that is an option; one of the first tensor's shape follows its rows."""
        one = self.tensors[name]
        return one[: shape[0]] if shape and tuple(one.shape) == self.shape else one

    def _rows(self, one: Tensor, shape: tuple[int, ...], rows: Tensor | None) -> Tensor:
        """The rows of a tensor that has the rows of the first one: as many dimensions, or labels."""
        follows = one.dim() and one.shape[0] == self.shape[0]
        if not follows or (one.dim() < len(self.shape) and one.is_floating_point()):
            return one
        return one[: shape[0]] if rows is None else one.index_select(0, rows)
