"""What the drive loop's readings mean: rates with intervals, percentiles, stall, restart. Pure functions.

The steady state begins once one more batch has come than may wait in the queue (`num_workers * prefetch_factor`): until
then the consumer receives what was made while it waited. Where epochs are too short for a steady state, whole epochs
are the unit, their start included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any

import numpy as np

from lossimpl.loading.settings import Settings
from lossimpl.ranking import median_interval

Trace = Mapping[str, Sequence[Any]]  # as `lossimpl.loading.timing.drive` records it

WINDOWS = 12  # at most; the interval of a median needs six
PERCENTILES = (50, 95, 99)
SHORTEST_STEADY = 4  # batches after the queue was filled; fewer do not show a steady state


@dataclass(frozen=True)
class Steady:
    """The batches of a trace that came in the steady state: seconds waited, seconds of the step, samples."""

    wait: tuple[float, ...]
    step: tuple[float, ...]
    samples: tuple[int, ...]


def steady(trace: Trace, fill: int) -> Steady:
    """Leave out the first `fill + 1` batches of each epoch."""
    kept, position, epoch = [], 0, -1
    for index, number in enumerate(trace["epoch"]):
        position = position + 1 if number == epoch else 0
        epoch = number
        if position > fill:
            kept.append(index)
    return Steady(*(tuple(trace[name][index] for index in kept) for name in ("wait", "step", "samples")))


def rates(trace: Trace, fill: int, workers: int) -> tuple[float, ...]:
    """Samples per second, one figure per window of steady batches, else per whole epoch, else for the whole trace.

    A window holds at least one batch of each worker, because batches of different workers come in bursts.
    """
    if not trace["wait"]:
        return ()
    if has_steady_state(trace, fill):
        part = steady(trace, fill)
        size = max(1, workers, -(-len(part.wait) // WINDOWS))
        spent = [wait + step for wait, step in zip(part.wait, part.step, strict=True)]
        return tuple(
            sum(part.samples[start : start + size]) / sum(spent[start : start + size])
            for start in range(0, max(1, len(spent) - size + 1), size)
        )
    whole = whole_epochs(trace)
    return whole or (sum(trace["samples"]) / (sum(trace["wait"]) + sum(trace["step"])),)


def whole_epochs(trace: Trace) -> tuple[float, ...]:
    """Samples per second of each epoch that was seen from its start to its end."""
    begun, found = {number for number, _ in trace["openings"]}, []
    for epoch, tail in trace["tails"]:
        at = [index for index, number in enumerate(trace["epoch"]) if number == epoch]
        seconds = tail + sum(trace["wait"][index] + trace["step"][index] for index in at)
        if epoch in begun and at:
            found.append(sum(trace["samples"][index] for index in at) / seconds)
    return tuple(found)


def has_steady_state(trace: Trace, fill: int) -> bool:
    """Whether `rates` are those of a steady state (True) or of whole epochs with their start (False)."""
    return len(steady(trace, fill).wait) >= SHORTEST_STEADY * max(1, len(trace["openings"]) // 2)


def starts(trace: Trace) -> list[tuple[float, float]]:
    """For each epoch that was begun: the seconds of `iter()`, and of `iter()` with the first batch."""
    first: dict[int, float] = {}
    for number, wait in zip(trace["epoch"], trace["wait"], strict=True):
        first.setdefault(number, wait)
    return [(opening, first[number]) for number, opening in trace["openings"] if number in first]


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """For each of `PERCENTILES` the smallest value that so many percent of values do not exceed; None for no values.

    >>> percentiles([1.0, 2.0, 3.0, 4.0])
    {'p50': 2.0, 'p95': 4.0, 'p99': 4.0}
    """
    if not values:
        return {f"p{percent}": None for percent in PERCENTILES}
    found = np.percentile(values, PERCENTILES, method="inverted_cdf").tolist()
    return {f"p{percent}": value for percent, value in zip(PERCENTILES, found, strict=True)}


def stall_fraction(trace: Trace, fill: int) -> float | None:
    """The share of the time that the consumer waited for data, in the steady state where there is one."""
    part = steady(trace, fill)
    wait, step = (part.wait, part.step) if len(part.wait) >= SHORTEST_STEADY else (trace["wait"], trace["step"])
    total = sum(wait) + sum(step)
    return sum(wait) / total if total else None


def restart_seconds(trace: Trace, persistent: bool) -> float | None:
    """From the end of an epoch to the first batch of the next: the median over the epochs after the first.

    Where no second epoch was begun, the start of the first, unless its workers would have been kept: then None.
    """
    seen = [first for _, first in starts(trace)]
    later = seen[1:] or ([] if persistent else seen)
    return median_high(later) if later else None


def epoch_rate(rate: float, restart: float | None, length: int | None, batch: int) -> float:
    """Samples per second over a whole epoch of `length` samples: the steady rate, and once the wait for the start.

    length / (restart + (length - batch) / rate); the steady rate itself where length or restart is unknown.
    """
    if not length or restart is None or rate <= 0:
        return rate
    return length / (restart + max(0, length - batch) / rate)


def numbers_of(events: Mapping[str, Mapping[str, Any]], settings: Settings, length: int | None) -> dict[str, Any]:
    """The numbers of a loading row from the events of a timing job."""
    free, fill = events["free"]["trace"], settings.prefetched
    found, opened = rates(free, fill, settings.num_workers), starts(free)
    memories = [events[name]["memory"]["pss_bytes"] for name in ("opened", "free", "stepped") if name in events]
    waits = steady(free, fill).wait or tuple(free["wait"])
    ended = events.get("shutdown", {})
    row: dict[str, Any] = {
        "samples_per_second": found,
        "steady_state": has_steady_state(free, fill),
        "build_seconds": events["built"]["seconds"],
        "iter_seconds": opened[0][0] if opened else None,
        "first_batch_seconds": opened[0][1] if opened else None,
        "restart_seconds": restart_seconds(free, settings.persistent_workers),
        "shutdown_seconds": ended.get("seconds"),
        "batch_seconds": percentiles(waits),
        "cpu_cores": events["free"]["cpu"],
        "pss_bytes": max(memories),
        "pss_growth_bytes": memories[-1] - memories[0],
        "batches": len(free["wait"]),
        "page_cache": ended.get("page_cache"),
        "stall_fraction": stall_fraction(events["stepped"]["trace"], fill) if "stepped" in events else None,
    }
    return {**row, **ranking(found, row, length, max(free["samples"], default=0))}


def ranking(found: Sequence[float], row: Mapping[str, Any], length: int | None, batch: int) -> dict[str, float]:
    """The median rate with its interval, and the same over whole epochs, which is what settings are ranked by."""
    if not found:
        return {}
    ends = dict(zip(("rate", "rate_low", "rate_high"), median_interval(found), strict=True))
    restart = row["restart_seconds"] if row["steady_state"] else None
    return {**ends, **{f"epoch_{name}": epoch_rate(rate, restart, length, batch) for name, rate in ends.items()}}
