"""What measuring adds to an epoch: the drive loop, and `observe`, each against a loop that does nothing else.

Plain and measured epochs alternate (ABBA), so that a drift of the machine affects both alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lossimpl.loading.datasets import resolve
from lossimpl.loading.observation.observer import observe
from lossimpl.loading.search.store import Record
from lossimpl.loading.selftest.runs import Runs
from lossimpl.loading.settings import Settings
from lossimpl.loading.timing.counting import counter, full_size
from lossimpl.loading.timing.drive import Drive, Extent, Trace
from lossimpl.loading.workload import Workload, make
from lossimpl.measure.wall import now
from lossimpl.ranking import median_interval

EPOCH_SECONDS = 20.0  # for the plain and the measured epochs of one dataset
FEWEST_EPOCHS = 8  # of either kind
DATASETS = ("photographs", "sqlite", "decodes")


def overhead(dataset: str, seconds: float = EPOCH_SECONDS, workers: int = 0, observed: bool = False) -> Record:
    """What the drive loop, or `observe`, adds to an epoch, as a share of a loop that does nothing."""
    from torch.utils.data import DataLoader

    workload, settings = make(resolve(dataset)), Settings(num_workers=workers)
    loader: Any = DataLoader(
        workload.dataset,
        batch_size=settings.batch_size,
        num_workers=workers,
        collate_fn=workload.collate_fn,
        persistent_workers=workers > 0,
    )
    set_epoch = workload.set_epoch or (lambda epoch: None)

    def plain() -> float:
        started = now()
        set_epoch(0)
        for _ in loader:
            pass
        return now() - started

    measured = watched(loader, set_epoch) if observed else driven(loader, workload, settings, set_epoch)
    added, expected = alternated(plain, measured, seconds)
    middle, low, high = median_interval(added)
    return {
        "dataset": dataset,
        "what": "observe" if observed else "drive loop",
        "workers": workers,
        "epoch_seconds": expected,
        "epochs": 2 * len(added),
        "added": middle,
        "added_low": low,
        "added_high": high,
    }


def driven(
    loader: Any, workload: Workload, settings: Settings, set_epoch: Callable[[int], None]
) -> Callable[[], float]:
    """An epoch in the drive loop, as a function that returns its seconds."""
    drive = Drive(loader, set_epoch, counter(workload, settings), full_size(workload, settings))
    trace, forever = Trace(), Extent(math.inf)

    def epoch() -> float:
        started = now()
        drive.epoch(trace, forever, None, None)
        return now() - started

    return epoch


def watched(loader: Any, set_epoch: Callable[[int], None]) -> Callable[[], float]:
    """An observed epoch, as a function that returns its seconds."""

    def epoch() -> float:
        started = now()
        set_epoch(0)
        for _ in observe(loader, say=False):
            pass
        return now() - started

    return epoch


def alternated(plain: Callable[[], float], measured: Callable[[], float], seconds: float) -> tuple[list[float], float]:
    """What each quadruple of epochs says is added, and the shortest plain epoch."""
    measured()  # first, so that workers that are kept are watched from their start
    expected = min(plain() for _ in range(3))
    added = []
    for _ in range(max(FEWEST_EPOCHS // 2, int(seconds / expected / 4))):
        first, second, third, fourth = plain(), measured(), measured(), plain()
        added.append((second + third) / (first + fourth) - 1)
    return added, expected


def all_overheads(datasets: Sequence[str], runs: Runs, seconds: float = EPOCH_SECONDS) -> list[Record]:
    """The drive loop without workers, and `observe` without and with workers, on each dataset."""
    found = []
    for dataset, (observed, workers) in itertools.product(datasets, ((False, 0), (True, 0), (True, 2))):
        question = {"overhead": "observe" if observed else "drive loop", "workers": workers, "dataset": dataset}
        found.append(runs.do(question, partial(overhead, dataset, seconds, workers, observed), 2 * seconds))
    return found
