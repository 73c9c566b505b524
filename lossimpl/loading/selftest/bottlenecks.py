"""Seven planted bottlenecks, each of which `observe` must name.

Every plant is a training of a few seconds whose costs are drawn anew for each run, around one cost that dominates.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from lossimpl.loading.observation import numbers, timeline
from lossimpl.loading.observation.observer import Observed, observe
from lossimpl.loading.search.store import Record
from lossimpl.loading.selftest.runs import Runs
from lossimpl.measure.wall import now

BATCH = 8
SECONDS = 15.0  # of a run


def busy(seconds: float) -> None:
    """Compute for so long."""
    end = now() + seconds
    while now() < end:
        pass


@dataclass(frozen=True)
class Costs:
    """Seconds of a sample's decoding and transform, of a batch's collate and step, of a worker's start; the values per
    sample that are sent; and how many times as long worker 0 takes. `computes`: processor time instead of waiting."""

    decode: float = 0.0005
    transform: float = 0.0003
    collate: float = 0.001
    step: float = 0.004
    start: float = 0.0
    values: int = 16
    slow: float = 1.0
    computes: bool = False
    length: int = 320

    def spend(self, seconds: float) -> None:
        """Wait or compute."""
        busy(seconds) if self.computes else time.sleep(seconds)


class Planted(Dataset[Any]):
    """Samples of these costs."""

    def __init__(self, costs: Costs) -> None:
        self.costs, self.transform = costs, Transform(costs)

    def __len__(self) -> int:
        return self.costs.length

    def __getitem__(self, index: int) -> Any:
        worker = get_worker_info()
        slow = self.costs.slow if worker is not None and worker.id == 0 else 1.0
        self.costs.spend(slow * self.costs.decode)
        return self.transform(np.full(self.costs.values, index, dtype=np.float32))


@dataclass(frozen=True)
class Transform:
    """Passes a sample on after its time."""

    costs: Costs

    def __call__(self, sample: Any) -> Any:
        self.costs.spend(self.costs.transform)
        return sample


@dataclass(frozen=True)
class Collate:
    """A list of the samples, which goes between processes as it is, after its time."""

    costs: Costs

    def __call__(self, samples: list[Any]) -> Any:
        self.costs.spend(self.costs.collate)
        return samples if self.costs.values > 1000 else torch.from_numpy(np.stack(samples))


@dataclass(frozen=True)
class Start:
    """A worker's slow start."""

    seconds: float

    def __call__(self, worker: int) -> None:
        time.sleep(self.seconds)


Plant = Callable[[random.Random], Costs]
PLANTS: dict[str, tuple[str, Plant]] = {  # name: the cause to be named, the costs
    "slow decode": (timeline.DATASET, lambda draw: Costs(decode=draw.uniform(0.004, 0.008))),
    "slow transform": (timeline.TRANSFORM, lambda draw: Costs(transform=draw.uniform(0.004, 0.008))),
    "heavy collate": (timeline.COLLATE, lambda draw: Costs(collate=draw.uniform(0.04, 0.07))),
    "big samples between processes": (
        timeline.TRANSFER,
        lambda draw: Costs(values=draw.randrange(1 << 18, 1 << 19), length=160),
    ),
    "one slow worker": (timeline.STRAGGLER, lambda draw: Costs(decode=0.001, slow=draw.uniform(6.0, 12.0))),
    "cold start per epoch": (timeline.START, lambda draw: Costs(start=draw.uniform(0.4, 0.8), length=80)),
    "slow consumer": (numbers.STEP, lambda draw: Costs(step=draw.uniform(0.04, 0.08), length=240)),
}


def train(costs: Costs, workers: int, keep: bool, epochs: int = 3) -> Observed:
    """A training of these costs, observed."""
    loader: Any = DataLoader(
        Planted(costs),
        batch_size=BATCH,
        num_workers=workers,
        collate_fn=Collate(costs),
        persistent_workers=keep and workers > 0,
        worker_init_fn=Start(costs.start) if costs.start else None,
    )
    observed = observe(loader, say=False)
    for _ in range(epochs):
        for _batch in observed:
            time.sleep(costs.step)
    return observed


def one_plant(name: str, seed: int) -> Record:
    """One run of one plant: what was named, and what should have been."""
    due, plant = PLANTS[name]
    draw = random.Random(f"{name} {seed}")
    needs_workers = due in (timeline.TRANSFER, timeline.STRAGGLER, timeline.START, numbers.STEP)
    workers = draw.choice((2, 3) if needs_workers else (0, 2))
    costs = replace(plant(draw), computes=draw.random() < 0.3 and due in (timeline.DATASET, timeline.TRANSFORM))
    found = train(costs, workers, keep=due != timeline.START).observation()
    return {
        "plant": name,
        "seed": seed,
        "workers": workers,
        "due": due,
        "named": numbers.cause(found),
        "stall": found.stall_fraction,
        "causes": dict(found.causes),
        "right": numbers.cause(found) == due,
    }


def bottlenecks(runs: Runs, count: int = 40) -> Record:
    """So many runs over all plants in turn."""
    found = []
    for number in range(count):
        name = list(PLANTS)[number % len(PLANTS)]
        found.append(runs.do({"bottleneck": name, "run": number}, partial(one_plant, name, number), SECONDS))
    return {"runs": found, "named": sum(run["right"] for run in found)}
