"""Samples of a set cost: each sleeps (as a read that waits) and computes (as a decoder) for as long as asked.

`build` reads `LOSSIMPL_SYNTHETIC`, such as `wait=0.001,work=0.002,bytes=4096,length=1000`; these are the defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from lossimpl.loading.workload import Workload
from lossimpl.measure.wall import now, sleep


@dataclass(frozen=True)
class Costs:
    """Seconds of waiting and of computing for each sample, its bytes, and the number of samples."""

    wait: float = 0.001
    work: float = 0.002
    bytes: int = 4096
    length: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(f"LOSSIMPL_SYNTHETIC: {name}: expected 0 or more, got {value}")


def parse(text: str) -> Costs:
    """The costs from `name=number` pairs; ValueError names what is not understood.

    >>> parse("wait=0.5,length=10")
    Costs(wait=0.5, work=0.002, bytes=4096, length=10)
    """
    given: dict[str, float] = {}
    for pair in filter(None, text.split(",")):
        name, _, number = pair.partition("=")
        if name not in Costs.__dataclass_fields__:
            raise ValueError(f"LOSSIMPL_SYNTHETIC: expected {', '.join(Costs.__dataclass_fields__)}, got {pair!r}")
        given[name] = float(number)
    return Costs(
        wait=given.get("wait", Costs.wait),
        work=given.get("work", Costs.work),
        bytes=int(given.get("bytes", Costs.bytes)),
        length=int(given.get("length", Costs.length)),
    )


class Synthetic(Dataset[torch.Tensor]):
    """uint8 tensors [bytes] that hold the last byte of their index."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    def __len__(self) -> int:
        return self.costs.length

    def __getitem__(self, index: int) -> torch.Tensor:
        if not 0 <= index < self.costs.length:
            raise IndexError(index)
        sleep(self.costs.wait)
        end = now() + self.costs.work
        while now() < end:
            pass
        return torch.full((self.costs.bytes,), index % 256, dtype=torch.uint8)


def build() -> Workload:
    """Samples of the cost that the environment asks for."""
    return Workload(Synthetic(parse(os.environ.get("LOSSIMPL_SYNTHETIC", ""))))


def reads() -> Workload:
    """Samples that wait, as for a disk or a network."""
    return Workload(Synthetic(Costs(wait=0.004, work=0.0, length=512)))


def decodes() -> Workload:
    """Samples that compute, as a decoder."""
    return Workload(Synthetic(Costs(wait=0.0, work=0.004, length=512)))
