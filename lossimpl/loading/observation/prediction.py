"""What other settings would give at the observed step: a model of a pipeline. Pure functions.

A step of `step` seconds needs a batch that takes `making` seconds to make, `work` of them on a processor. Without
workers both happen one after the other. With w workers a batch comes every `making / w` seconds, unless the processors
are the limit: `cores` of them have to do the work of a batch and of a step in each period. The start of an epoch is
waited for once, and again in each epoch unless workers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FORK_SECONDS = 0.03  # to start a worker
RECEIVE_SECONDS = 150e-6  # for a step to take a batch from a worker
CONTENTION = 0.9  # of all processors' time is what workers and step together can use
ENOUGH = 0.98  # of the best predicted rate: fewer workers are preferred to the last percent
WORTH = 0.97  # of the present time of a step, from which a change is suggested


@dataclass(frozen=True)
class Pipeline:
    """What was observed, in seconds: of a step and its processor time, of making a batch and its processor time, for
    receiving a batch from a worker, and of an epoch's start beyond the making of its first batch. `batches` per
    epoch."""

    step: float
    step_work: float
    making: float
    work: float
    transfer: float
    starting: float
    batches: float
    cores: int
    epochs: int = 1


@dataclass(frozen=True)
class Choice:
    """Workers, whether they are kept, and the predicted seconds per step."""

    num_workers: int
    persistent_workers: bool
    seconds: float


def period(line: Pipeline, workers: int, keep: bool) -> float:
    """Predicted seconds from step to step, the start of epochs included.

    >>> line = Pipeline(step=0.02, step_work=0, making=0.03, work=0, transfer=0, starting=0, batches=1e9, cores=2)
    >>> [round(period(line, workers, True), 3) for workers in (0, 1, 2)]
    [0.05, 0.03, 0.02]
    """
    if workers == 0:
        return line.step + line.making
    step = line.step + RECEIVE_SECONDS
    processors = (line.work + line.step_work) / (CONTENTION * line.cores)
    steady = max(step, (line.making + line.transfer) / workers, processors)
    start = max(line.starting, FORK_SECONDS * workers) / (max(1, line.epochs) if keep else 1)
    return steady + (start + line.making) / max(1.0, line.batches)


def choices(line: Pipeline, counts: Sequence[int], epochs: int) -> Iterator[Choice]:
    """Every number of workers, kept where there is more than one epoch."""
    for workers in counts:
        for keep in (False, True) if workers and epochs > 1 else (False,):
            yield Choice(workers, keep, period(line, workers, keep))


def best(line: Pipeline, counts: Sequence[int], epochs: int) -> Choice:
    """The fewest workers that come near the best prediction."""
    found = list(choices(line, counts, epochs))
    fastest = min(one.seconds for one in found)
    return min(
        (one for one in found if one.seconds * ENOUGH <= fastest),
        key=lambda one: (one.num_workers, one.seconds),
    )
