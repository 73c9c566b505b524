"""Why did training wait? The waits of an epoch laid over what its workers did meanwhile. Pure functions.

A step asks for a batch and gets it; what the worker of that batch did in between is what was waited for. Time before
the worker began with it goes to what the same worker was busy with; time after it had ended goes to the transfer
between processes, less what pinning took. Where the worker computed the next batch without a pause meanwhile, that is
the cause: Python code that computes keeps the thread that sends batches waiting for the interpreter's lock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from lossimpl.loading.observation.tracing import Made

DATASET, TRANSFORM, COLLATE = "dataset", "transform", "collate"
TRANSFER, PIN, START, STRAGGLER, LOADER = "transfer", "pin", "start of epoch", "straggler worker", "loader"
CAUSES = (DATASET, TRANSFORM, COLLATE, TRANSFER, PIN, START, STRAGGLER, LOADER)
WORDS = {
    DATASET: "the dataset",
    TRANSFORM: "the transform",
    COLLATE: "collate_fn",
    TRANSFER: "the transfer between processes",
    PIN: "pinning memory",
    START: "the start of epochs",
    STRAGGLER: "one slow worker",
    LOADER: "the loader itself",
}
SLOWER = 1.5  # times the other workers' mean, from which a worker is a straggler
MOST = 0.6  # of the waiting that a straggler's batches must account for
COMPUTES = 0.3  # of a batch's time on a processor: the rest may be waiting for one, on a busy machine
OTHERS = 0.2  # of it in other threads: a thread that sends large samples takes more
REACH = 4  # batches before and after the awaited one that can reach into the wait for it


class Wait(NamedTuple):
    """One step's wait: when it asked, when the batch came, and the worker that made it (None: nobody knows)."""

    asked: float
    came: float
    worker: int | None


def turns(made: Mapping[int, Sequence[Made]]) -> Iterator[int]:
    """The workers in the order in which torch delivers their batches: in turns, without those that have no more.

    >>> batch = Made(0, 0, 0, 0, 0, 0, 0)
    >>> list(turns({0: [batch], 1: [batch] * 3}))
    [0, 1, 1, 1]
    """
    left = {worker: len(records) for worker, records in sorted(made.items())}
    while any(left.values()):
        for worker in left:
            if left[worker]:
                left[worker] -= 1
                yield worker


def by_end(made: Mapping[int, Sequence[Made]]) -> Iterator[int]:
    """The workers in the order in which they ended their batches: how they come with `in_order=False`."""
    ends = sorted((one.ended, worker) for worker, records in made.items() for one in records)
    yield from (worker for _, worker in ends)


def in_one_process(waits: Sequence[Wait], made: Sequence[Made]) -> dict[str, float]:
    """The causes of the waits of an epoch without workers: each batch is made while it is waited for.

    Where batches are short, only some of them were traced; the others are taken to be like these.
    """
    total = sum(wait.came - wait.asked for wait in waits)
    if not made:
        return {LOADER: total} if total else {}
    data, joined = (fmean(one.collated - one.started for one in made), fmean(one.ended - one.collated for one in made))
    scale = min(len(waits), total / (data + joined)) if data + joined else 0.0
    found = {DATASET: scale * data, COLLATE: scale * joined, LOADER: total - scale * (data + joined)}
    return split(found, made)


def with_workers(waits: Sequence[Wait], made: Mapping[int, Sequence[Made]], pinning: float = 0.0) -> dict[str, float]:
    """The causes of the waits of an epoch with workers; `pinning` seconds are taken from the transfers."""
    found: dict[str, float] = defaultdict(float)
    making: dict[int, float] = defaultdict(float)
    delivered: dict[int, int] = defaultdict(int)
    for wait in waits:
        if wait.worker is None:
            found[LOADER] += wait.came - wait.asked
            continue
        for cause, seconds in parts(wait, made[wait.worker], delivered[wait.worker]):
            found[cause] += seconds
            making[wait.worker] += seconds if cause in (DATASET, COLLATE) else 0.0
        delivered[wait.worker] += 1
    moved = min(pinning, found[TRANSFER])
    found |= {TRANSFER: found[TRANSFER] - moved, PIN: moved}
    slow = straggler(made, making, sum(found.values()) - found[START])
    if slow is not None:
        share = making[slow] / (found[DATASET] + found[COLLATE])
        found[STRAGGLER] = making[slow]
        found |= {cause: (1 - share) * found[cause] for cause in (DATASET, COLLATE)}
    return split(dict(found), [one for records in made.values() for one in records])


def parts(wait: Wait, records: Sequence[Made], place: int) -> Iterator[tuple[str, float]]:
    """One wait, divided by what the worker did: the batch itself is the record at `place`."""
    left = wait.came - wait.asked
    before, after = records[: place + 1][-REACH:], records[place + 1 :][:REACH]
    for record in (*before, *filter(computes, after)):
        data = overlap(wait, record.started, record.collated)
        joined = overlap(wait, record.collated, record.ended)
        left -= data + joined
        yield DATASET, data
        yield COLLATE, joined
    if place == 0:
        yield START, (early := max(0.0, min(left, overlap(wait, wait.asked, records[0].started))))
        left -= early
    yield TRANSFER, max(0.0, left)


def computes(record: Made) -> bool:
    """Whether making a batch took processor time, of which the other threads of its worker got hardly any."""
    others = record.work - record.computing
    return record.computing > COMPUTES * (record.ended - record.started) and others < OTHERS * record.computing


def overlap(wait: Wait, start: float, end: float) -> float:
    """The seconds that a wait and a stretch of time have in common."""
    return max(0.0, min(wait.came, end) - max(wait.asked, start))


def straggler(made: Mapping[int, Sequence[Made]], making: Mapping[int, float], total: float) -> int | None:
    """The worker that is much slower than the others and the making of whose batches is most of the `total` wait."""
    means = {worker: fmean(one.ended - one.started for one in records) for worker, records in made.items() if records}
    if len(means) < 2 or total <= 0:
        return None
    slow = max(means, key=lambda worker: means[worker])
    others = fmean(mean for worker, mean in means.items() if worker != slow)
    return slow if means[slow] > SLOWER * others and making.get(slow, 0.0) > MOST * total else None


def transform_share(made: Sequence[Made]) -> float:
    """The share of the dataset's time that goes to transforms, from the batches in which they were timed."""
    timed = [one for one in made if one.in_transforms >= 0]
    spent = sum(one.collated - one.started for one in timed)
    return min(1.0, sum(one.in_transforms for one in timed) / spent) if spent > 0 else 0.0


def split(found: dict[str, float], made: Sequence[Made]) -> dict[str, float]:
    """The causes with the dataset's time divided between it and its transforms; only what took time is left in."""
    share = transform_share(made)
    spent = found.get(DATASET, 0.0)
    found |= {DATASET: (1 - share) * spent, TRANSFORM: share * spent}
    return {name: found[name] for name in CAUSES if found.get(name, 0.0) > 0}
