"""What was observed, as numbers: waits and their causes, and the settings that would be worth a change."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from lossimpl.loading.observation import prediction, timeline
from lossimpl.loading.observation.epochs import Epoch
from lossimpl.loading.observation.meter import Meter
from lossimpl.loading.observation.prediction import Choice, Pipeline
from lossimpl.loading.search.space import worker_counts
from lossimpl.loading.settings import WORKER_DEFAULTS, Settings
from lossimpl.measure.threads import usable_cores

SMALL = 0.05  # of the time: for less waiting nothing is suggested
BOTTLENECK = 0.1  # of the time: with less waiting the step is the bottleneck
NAMED = 0.15  # of the waiting, from which a cause is named
MOST_WAITS = 20_000  # that are stored one by one; of more, means
STEP = "step"  # the training step itself


@dataclass(frozen=True)
class Observation:
    """What was seen of a loader in one process, in seconds.

    `step_seconds`, `wait_seconds`: means per step; `stall_fraction`: waiting as a share of all; `waits`: each step's
    wait, or means of `waits_per` steps; `causes`: waiting by cause. `making_seconds`: of a batch, `making_processor` of
    them on a processor. `ideal_step_seconds`: from a replay of cached batches, or None. `suggestions`: arguments to
    change, with the predicted seconds per step. `rank` of `world` processes. `memory_bytes`, `cores_used`: of the
    process tree.
    """

    settings: Settings | None
    dataset: str
    steps: int
    epochs: int
    seconds: float
    step_seconds: float | None
    wait_seconds: float | None
    stall_fraction: float | None
    causes: Mapping[str, float]
    waits: Sequence[float] = ()
    waits_per: int = 1
    making_seconds: float | None = None
    making_processor: float | None = None
    by_worker: Mapping[int, float] = field(default_factory=dict)
    ideal_step_seconds: float | None = None
    suggestions: Sequence[Mapping[str, Any]] = ()
    memory_bytes: int = 0
    processes: int = 1
    cores_used: float | None = None
    rank: int = 0
    world: int = 1

    @property
    def period(self) -> float:
        """Seconds from step to step."""
        return (self.step_seconds or 0.0) + (self.wait_seconds or 0.0)

    @property
    def bound(self) -> float:
        """The seconds of a step without any loading: from a replay, else from the steps themselves."""
        return self.ideal_step_seconds or self.step_seconds or 0.0


def rank_and_world() -> tuple[int, int]:
    """The rank of this process and how many there are, as torchrun says, else 0 of 1."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def summarise(
    epochs: Sequence[Epoch], settings: Settings | None, meter: Meter, ideal: Sequence[float], dataset: str
) -> Observation:
    """The observation of all epochs so far; without a step, numbers that are not known are None."""
    steps = [one for epoch in epochs for one in epoch.steps]
    waits = [one for epoch in epochs for one in epoch.waits]
    ending = sum(epoch.ending for epoch in epochs)
    causes: dict[str, float] = {}
    for epoch in epochs:
        for cause, seconds in epoch.causes.items():
            causes[cause] = causes.get(cause, 0.0) + seconds
    made = sum(epoch.made for epoch in epochs)
    total = sum(steps) + sum(waits) + ending
    rank, world = rank_and_world()
    found = Observation(
        settings=settings,
        dataset=dataset,
        steps=len(steps),
        epochs=len(epochs),
        seconds=total,
        step_seconds=fmean(steps) if steps else None,
        wait_seconds=(sum(waits) + ending) / len(steps) if steps else None,
        stall_fraction=(sum(waits) + ending) / total if total else None,
        causes=dict(sorted(causes.items(), key=lambda one: -one[1])),
        **thinned(waits),
        making_seconds=sum(epoch.making for epoch in epochs) / made if made else None,
        making_processor=sum(epoch.making_processor for epoch in epochs) / made if made else None,
        by_worker=epochs[-1].by_worker if epochs else {},
        ideal_step_seconds=median(ideal) if ideal else None,
        memory_bytes=meter.memory,
        processes=meter.processes,
        cores_used=meter.cores,
        rank=rank,
        world=world,
    )
    choice = chosen(found, epochs)
    suggested = suggestion(settings, choice) if choice and settings else {}
    suggestions = [{**suggested, "predicted_seconds": choice.seconds}] if choice and suggested else []
    return Observation(**{**vars(found), "suggestions": suggestions})


def thinned(waits: Sequence[float]) -> dict[str, Any]:
    """The waits one by one, or means over so many steps that few enough are left.

    >>> thinned([1.0, 2.0])
    {'waits': [1.0, 2.0], 'waits_per': 1}
    """
    size = -(-len(waits) // MOST_WAITS) or 1
    means = [fmean(waits[start : start + size]) for start in range(0, len(waits), size)]
    return {"waits": means, "waits_per": size}


def pipeline(found: Observation, epochs: Sequence[Epoch]) -> Pipeline | None:
    """The model's numbers from what was observed; None where batches were not traced."""
    if not found.making_seconds or not found.steps or not found.step_seconds:
        return None
    workers = epochs[-1].workers
    processor = sum(epoch.processor for epoch in epochs) / found.steps
    own = processor if workers else processor - (found.making_processor or 0.0)
    kept = found.settings is not None and found.settings.persistent_workers
    firsts = [epoch.waits[0] for epoch in epochs[: 1 if kept else None] if epoch.waits]
    starting = median(firsts) - found.making_seconds if workers and firsts else 0.0
    transfer = found.causes.get(timeline.TRANSFER, 0.0) / found.steps
    return Pipeline(
        step=found.step_seconds,
        step_work=max(0.0, own),
        making=found.making_seconds,
        work=found.making_processor or found.making_seconds,
        transfer=transfer,
        starting=max(0.0, starting),
        batches=found.steps / max(1, found.epochs),
        cores=usable_cores(),
        epochs=found.epochs,
    )


def chosen(found: Observation, epochs: Sequence[Epoch]) -> Choice | None:
    """The settings that the model prefers, where they would be worth a change."""
    line = pipeline(found, epochs)
    if line is None or found.settings is None or (found.stall_fraction or 0.0) < SMALL:
        return None
    if cause(found) == timeline.STRAGGLER:
        return None  # more workers of which one is slow wait for it as before
    best = prediction.best(line, worker_counts(usable_cores()), found.epochs)
    return best if best.seconds < prediction.WORTH * found.period else None


def suggestion(settings: Settings, choice: Choice) -> dict[str, Any]:
    """The arguments to change."""
    wanted: dict[str, Any] = {"num_workers": choice.num_workers, "persistent_workers": choice.persistent_workers}
    if choice.num_workers == 0:
        wanted |= {name: value for name, value in WORKER_DEFAULTS.items() if name != "worker_method"}
    return {name: value for name, value in wanted.items() if getattr(settings, name) != value}


def named_causes(found: Observation) -> list[tuple[str, float]]:
    """The causes that account for most of the waiting, largest first, each with its share."""
    total = sum(found.causes.values())
    shares = [(cause, seconds / total) for cause, seconds in found.causes.items()] if total else []
    return [one for one in shares if one[1] >= NAMED or one is shares[0]]


def cause(found: Observation) -> str:
    """The one cause that matters most; `step` where loading is no bottleneck."""
    if (found.stall_fraction or 0.0) < BOTTLENECK:
        return STEP
    named = named_causes(found)
    return named[0][0] if named else timeline.LOADER
