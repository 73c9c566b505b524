"""What the drive loop's readings mean: rates with intervals, percentiles, stall, restart. Pure functions.

Steady state begins once as many batches have come as may wait in the queue (`num_workers * prefetch_factor`) and one
more: until then the consumer is served from what was made while it waited. Where epochs are so short that no steady
state exists, whole epochs are the unit, their start included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossimpl.measure.summary import median_interval

WINDOWS = 12  # at most; the interval of a median needs six
SHORTEST_STEADY = 4  # batches after the fill; fewer say nothing about a steady state


@dataclass(frozen=True)
class Steady:
    """The batches of a trace that came in the steady state: seconds waited, seconds of the step, samples."""

    wait: tuple[float, ...]
    step: tuple[float, ...]
    samples: tuple[int, ...]


def steady(trace: Mapping[str, Sequence[Any]], fill: int) -> Steady:
    """Leave out the first `fill + 1` batches of each epoch."""
    kept, position, epoch = [], 0, -1
    for index, number in enumerate(trace["epoch"]):
        position = position + 1 if number == epoch else 0
        epoch = number
        if position > fill:
            kept.append(index)
    return Steady(*(tuple(trace[name][index] for index in kept) for name in ("wait", "step", "samples")))


def rates(trace: Mapping[str, Sequence[Any]], fill: int, workers: int) -> tuple[float, ...]:
    """Samples per second, one figure for each window of steady batches, or for each whole epoch, or for all there is.

    A window holds at least one batch of each worker, because batches of different workers come in bursts.
    """
    calm = steady(trace, fill)
    if len(calm.wait) >= SHORTEST_STEADY * max(1, len(trace["starts"]) // 2):
        size = max(1, workers, -(-len(calm.wait) // WINDOWS))
        spent = [wait + step for wait, step in zip(calm.wait, calm.step, strict=True)]
        return tuple(
            sum(calm.samples[start : start + size]) / sum(spent[start : start + size])
            for start in range(0, max(1, len(spent) - size + 1), size)
        )
    if trace["walls"]:
        return tuple(
            sum(count for count, number in zip(trace["samples"], trace["epoch"], strict=True) if number == epoch) / wall
            for epoch, wall in enumerate(trace["walls"])
        )
    return (sum(trace["samples"]) / (sum(trace["wait"]) + sum(trace["step"])),) if trace["wait"] else ()


def has_steady_state(trace: Mapping[str, Sequence[Any]], fill: int) -> bool:
    """Whether `rates` speaks of a steady state (True) or of whole epochs with their start (False)."""
    return len(steady(trace, fill).wait) >= SHORTEST_STEADY * max(1, len(trace["starts"]) // 2)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed; None for no values.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def stall_fraction(trace: Mapping[str, Sequence[Any]], fill: int) -> float | None:
    """The share of the time that the consumer waited for data, in the steady state where there is one."""
    calm = steady(trace, fill)
    wait, step = (calm.wait, calm.step) if len(calm.wait) >= SHORTEST_STEADY else (trace["wait"], trace["step"])
    total = sum(wait) + sum(step)
    return sum(wait) / total if total else None


def restart_seconds(trace: Mapping[str, Sequence[Any]]) -> float | None:
    """From the end of an epoch to the first batch of the next: the median over the later epochs."""
    later = [first for _, first in trace["starts"][1:]]
    return sorted(later)[len(later) // 2] if later else None


def epoch_rate(rate: float, restart: float | None, length: int | None, batch: int) -> float:
    """Samples per second over a whole epoch of `length` samples: the steady rate, and once the wait for the start.

    length / (restart + (length - batch) / rate); the steady rate itself where length or restart is unknown.
    """
    if not length or restart is None or rate <= 0:
        return rate
    return length / (restart + max(0, length - batch) / rate)


def summarise(events: Mapping[str, Mapping[str, Any]], fill: int, workers: int, length: int | None) -> dict[str, Any]:
    """The numbers of a loading row from the events of a timing job."""
    free = events["free"]["trace"]
    found = rates(free, fill, workers)
    memories = [events[name]["memory"]["pss_bytes"] for name in ("opened", "free", "stepped") if name in events]
    row: dict[str, Any] = {
        "samples_per_second": list(found),
        "steady_state": has_steady_state(free, fill),
        "build_seconds": events["built"]["seconds"],
        "iter_seconds": free["starts"][0][0] if free["starts"] else None,
        "first_batch_seconds": free["starts"][0][1] if free["starts"] else None,
        "restart_seconds": restart_seconds(free),
        "shutdown_seconds": events["shutdown"]["seconds"] if "shutdown" in events else None,
        "cpu_cores": events["free"]["cpu"],
        "pss_bytes": max(memories),
        "pss_growth_bytes": memories[-1] - memories[0],
        "batches": len(free["wait"]),
        "page_cache": events["shutdown"]["page_cache"] if "shutdown" in events else None,
        "stall_fraction": stall_fraction(events["stepped"]["trace"], fill) if "stepped" in events else None,
    }
    waits = steady(free, fill).wait or tuple(free["wait"])
    row["batch_seconds"] = {
        name: percentile(waits, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    if found and free["samples"]:
        row["rate"], row["rate_low"], row["rate_high"] = median_interval(found)
        batch = max(free["samples"])
        restart = row["restart_seconds"] if row["steady_state"] else None
        row["epoch_rate"], row["epoch_rate_low"], row["epoch_rate_high"] = (
            epoch_rate(row[name], restart, length, batch) for name in ("rate", "rate_low", "rate_high")
        )
    return row
