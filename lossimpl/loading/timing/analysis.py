"""What the drive loop's readings mean: rates with intervals, percentiles, stall, restart. Pure functions.

The steady state begins once one more batch has come than may wait in the queue (`num_workers * prefetch_factor`): until
then the consumer receives what was made while it waited. Where epochs are too short for a steady state, whole epochs
are the unit, their start included.

Workers start together, so their batches come in bursts of one each, and whatever is computed of a part of an epoch is
computed of whole rounds: as many batches as there are workers. Counting from the middle of a burst would make the same
loader faster or slower by its prefetch_factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any, NamedTuple

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


def steady(trace: Trace, fill: int, workers: int) -> Steady:
    """Of each epoch the whole rounds after the first `fill + 1` batches."""
    size = max(1, workers)
    first = -(-(fill + 1) // size) * size
    kept: list[int] = []
    for at in by_epoch(trace).values():
        kept += at[first : len(at) - len(at) % size]
    return Steady(*(tuple(trace[name][index] for index in kept) for name in ("wait", "step", "samples")))


def by_epoch(trace: Trace) -> dict[int, list[int]]:
    """The places of each epoch's batches."""
    found: dict[int, list[int]] = {}
    for index, number in enumerate(trace["epoch"]):
        found.setdefault(number, []).append(index)
    return found


def rates(trace: Trace, fill: int, workers: int, keep: bool = False) -> tuple[float, ...]:
    """Samples per second, one figure per window of steady batches, else per whole epoch, else for the whole trace.

    A window holds whole rounds. `keep`: workers are kept, so that a later epoch does not begin with their start.
    """
    if not trace["wait"]:
        return ()
    if has_steady_state(trace, fill, workers):
        part, round_ = steady(trace, fill, workers), max(1, workers)
        size = round_ * -(-len(part.wait) // (WINDOWS * round_))
        spent = [wait + step for wait, step in zip(part.wait, part.step, strict=True)]
        return tuple(
            sum(part.samples[start : start + size]) / sum(spent[start : start + size])
            for start in range(0, max(1, len(spent) - size + 1), size)
        )
    whole = whole_epochs(trace)
    whole = whole[1:] if keep and len(whole) > 1 else whole
    return whole or (sum(trace["samples"]) / (sum(trace["wait"]) + sum(trace["step"])),)


def whole_epochs(trace: Trace) -> tuple[float, ...]:
    """Samples per second of each epoch that was seen from its start to its end."""
    begun, epochs, found = {number for number, _ in trace["openings"]}, by_epoch(trace), []
    for epoch, tail in trace["tails"]:
        at = epochs.get(epoch, [])
        seconds = tail + sum(trace["wait"][index] + trace["step"][index] for index in at)
        if epoch in begun and at:
            found.append(sum(trace["samples"][index] for index in at) / seconds)
    return tuple(found)


def has_steady_state(trace: Trace, fill: int, workers: int) -> bool:
    """Whether `rates` are those of a steady state (True) or of whole epochs with their start (False)."""
    return len(steady(trace, fill, workers).wait) >= SHORTEST_STEADY * max(1, len(trace["openings"]) // 2)


class Start(NamedTuple):
    """Of an epoch's start the seconds of `iter()`, until the first batch, and until a batch of each worker has come."""

    opening: float
    first: float
    round: float


def starts(trace: Trace, workers: int) -> list[Start]:
    """The start of each epoch that was begun; of one with fewer batches than workers all of them count."""
    epochs, found = by_epoch(trace), []
    for number, opening in trace["openings"]:
        if at := epochs.get(number):
            early = at[: max(1, workers)]
            until = sum(trace["wait"][index] for index in early) + sum(trace["step"][index] for index in early[:-1])
            found.append(Start(opening, trace["wait"][at[0]], until))
    return found


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """For each of `PERCENTILES` the smallest value that so many percent of values do not exceed; None for no values.

    >>> percentiles([1.0, 2.0, 3.0, 4.0])
    {'p50': 2.0, 'p95': 4.0, 'p99': 4.0}
    """
    if not values:
        return {f"p{percent}": None for percent in PERCENTILES}
    found = np.percentile(values, PERCENTILES, method="inverted_cdf").tolist()
    return {f"p{percent}": value for percent, value in zip(PERCENTILES, found, strict=True)}


def stall_fraction(trace: Trace, fill: int, workers: int) -> float | None:
    """The share of the time that the consumer waited for data, in the steady state where there is one."""
    part = steady(trace, fill, workers)
    wait, step = (part.wait, part.step) if len(part.wait) >= SHORTEST_STEADY else (trace["wait"], trace["step"])
    total = sum(wait) + sum(step)
    return sum(wait) / total if total else None


def restart(trace: Trace, persistent: bool, workers: int) -> Start | None:
    """From the end of an epoch to the next: the median over the epochs after the first.

    Where no second epoch was begun, the start of the first, unless its workers would have been kept: then None.
    """
    seen = starts(trace, workers)
    later = seen[1:] or ([] if persistent else seen)
    return Start(*map(median_high, zip(*later, strict=True))) if later else None


def epoch_rate(rate: float, start: float | None, length: int | None, early: int) -> float:
    """Samples per second over a whole epoch of `length` samples: the steady rate, and once the wait for the start.

    length / (start + (length - early) / rate), where `early` samples have come after `start` seconds; the steady rate
    itself where length or start is unknown.
    """
    if not length or start is None or rate <= 0:
        return rate
    return length / (start + max(0, length - early) / rate)


def numbers_of(events: Mapping[str, Mapping[str, Any]], settings: Settings, length: int | None) -> dict[str, Any]:
    """The numbers of a loading row from the events of a timing job."""
    free, fill = events["free"]["trace"], settings.prefetched
    workers = settings.num_workers
    found, opened = rates(free, fill, workers, settings.persistent_workers), starts(free, workers)
    again = restart(free, settings.persistent_workers, workers)
    memories = [events[name]["memory"]["pss_bytes"] for name in ("opened", "free", "stepped") if name in events]
    waits = steady(free, fill, workers).wait or tuple(free["wait"])
    ended = events.get("shutdown", {})
    row: dict[str, Any] = {
        "samples_per_second": found,
        "steady_state": has_steady_state(free, fill, workers),
        "build_seconds": events["built"]["seconds"],
        "iter_seconds": opened[0].opening if opened else None,
        "first_batch_seconds": opened[0].first if opened else None,
        "restart_seconds": again.first if again else None,
        "shutdown_seconds": ended.get("seconds"),
        "batch_seconds": percentiles(waits),
        "cpu_cores": events["free"]["cpu"],
        "pss_bytes": max(memories),
        "pss_growth_bytes": memories[-1] - memories[0],
        "batches": len(free["wait"]),
        "page_cache": ended.get("page_cache"),
        "stall_fraction": stall_fraction(events["stepped"]["trace"], fill, workers) if "stepped" in events else None,
    }
    batch = max(free["samples"], default=0)
    start = again.round if again and row["steady_state"] else None
    return {**row, **ranking(found, start, length, max(1, workers) * batch)}


def ranking(found: Sequence[float], start: float | None, length: int | None, early: int) -> dict[str, float | None]:
    """The median rate with its interval, and the same over whole epochs, which is what settings are ranked by.

    One value alone has no interval.
    """
    if not found:
        return {}
    middle, low, high = median_interval(found)
    ends = {"rate": middle, "rate_low": low, "rate_high": high}
    ends |= {f"epoch_{name}": epoch_rate(rate, start, length, early) for name, rate in ends.items()}
    return {name: end if len(found) > 1 or not name.endswith(("low", "high")) else None for name, end in ends.items()}
