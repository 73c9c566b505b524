"""Resources that grow with each sample, and what they come to by the end of an epoch. Pure functions.

A measurement reads a part of a large dataset. A cache that never forgets, a file that stays open for each sample, a
search through all that was read before: these look harmless then, and end a training an hour later.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from lossimpl import wording
from lossimpl.loading.inspection.result import Machine

STEPS = ("opened", "free", "stepped")  # the events that say what was in use, in order
FEWEST_DESCRIPTORS = 4  # that must have been opened for a trend
FEWEST_BYTES = 8 << 20
QUARTERS, SLOWER = 4, 2.0  # of a trace; how many times as long a batch takes in the last as in the first
FEWEST_BATCHES = 4 * QUARTERS
NEAR = 0.5  # of a limit: what comes so close is worth a warning
FOREVER = 100_000_000  # samples; a stream without a length is read for as long as training lasts


def warnings(
    events: Mapping[str, Mapping[str, Any]], workers: int, length: int | None, machine: Machine | None
) -> tuple[str, ...]:
    """What will run out by the end of an epoch of `length` samples, or of a long training where it is unknown."""
    known = [name for name in STEPS if name in events]
    if len(known) < 2 or machine is None:
        return ()
    return tuple(found(events, known, max(1, workers), length, machine))


def found(
    events: Mapping[str, Mapping[str, Any]], known: list[str], workers: int, length: int | None, machine: Machine
) -> Iterator[str]:
    """Descriptors of the process that has most, and memory of all."""
    total, until = length or FOREVER, "in an epoch" if length else "as the stream goes on"
    each = per_sample(events, known, "descriptors", FEWEST_DESCRIPTORS) * workers
    at_end = events[known[0]]["memory"].get("descriptors", 0) + each * total / workers
    if each and at_end > NEAR * machine.open_files:
        what = f"{wording.count(at_end)} {until}" if length else "without end"
        most = wording.count(machine.open_files)
        yield f"open files grow by {wording.digits(each)} per sample read: {what}, of {most} allowed"
    yield from slower(events["free"]["trace"])
    each = per_sample(events, known, "pss_bytes", FEWEST_BYTES)
    if each and each * total > NEAR * machine.memory_bytes:
        what = f"{wording.size(each * total)} {until}" if length else "without end"
        free = wording.size(machine.memory_bytes)
        yield f"memory grows by {wording.size(each)} per sample read: {what}, of {free} free"


def slower(trace: Mapping[str, Any]) -> Iterator[str]:
    """Whether batches take longer and longer, from quarter to quarter of a trace without a step.

    >>> list(slower({"wait": [0.001 * number for number in range(32)]}))
    ['batches take longer and longer: 3.50 ms, and 27.5 ms after 28 batches: the rate of a whole epoch is lower']
    """
    waits = trace["wait"]
    size = len(waits) // QUARTERS
    parts = [median(waits[start : start + size]) for start in range(0, size * QUARTERS, size or 1)]
    rising = all(one < other for one, other in itertools.pairwise(parts))
    if len(waits) >= FEWEST_BATCHES and rising and parts[-1] > SLOWER * parts[0]:
        ends = f"{wording.seconds(parts[0])}, and {wording.seconds(parts[-1])} after {size * 7 // 2} batches"
        yield f"batches take longer and longer: {ends}: the rate of a whole epoch is lower"


def per_sample(events: Mapping[str, Mapping[str, Any]], known: list[str], name: str, fewest: float) -> float:
    """The growth per sample from each event to the next, the least of these; 0 where it does not go on growing."""
    slopes = []
    for before, after in itertools.pairwise(known):
        grown = events[after]["memory"].get(name, 0) - events[before]["memory"].get(name, 0)
        samples = sum(events[after]["trace"]["samples"])
        slopes.append(grown / samples if samples and grown >= fewest / len(known) else 0.0)
    return max(0.0, min(slopes))
